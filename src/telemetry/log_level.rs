//! Which lines the log has, and how that is changed at run time.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

use crate::config::log_filter;

/// The current filter of the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogLevel {
    filter: reload::Handle<Targets, Registry>,
    present: Arc<Mutex<Present>>,
}

#[derive(Debug)]
struct Present {
    directives: String,
    filter: Targets,
}

/// Why the log level was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The directives cannot be read.
    #[error("{0}")]
    Directives(String),
    /// The subscriber is gone.
    #[error(transparent)]
    Log(#[from] reload::Error),
}

impl LogLevel {
    /// A filter that can be changed, and the handle to change it.
    pub(super) fn new(directives: &str) -> Result<(reload::Layer<Targets, Registry>, Self), String> {
        let present = Present::read(directives)?;
        let (layer, filter) = reload::Layer::new(present.filter.clone());
        let present = Arc::new(Mutex::new(present));
        Ok((layer, Self { filter, present }))
    }

    /// The current directives.
    pub fn directives(&self) -> String {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.directives.clone()
    }

    /// Applies these directives until they are changed again or the process
    /// ends, and logs the change unless warnings are off before and after.
    ///
    /// # Errors
    /// When they cannot be parsed; then nothing changes.
    pub fn change(&self, directives: &str) -> Result<(), ChangeError> {
        let next = Present::read(directives).map_err(ChangeError::Directives)?;
        let announce = || tracing::warn!(now = next.directives, "the log level is changed");
        // Held to the end, so that two changes are logged in order.
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let shows_it = present.filter.would_enable(module_path!(), &Level::WARN);
        if shows_it {
            announce();
        }
        self.filter.reload(next.filter.clone())?;
        if !shows_it {
            announce();
        }
        *present = next;
        Ok(())
    }
}

impl Present {
    fn read(directives: &str) -> Result<Self, String> {
        let directives = directives.trim();
        Ok(Self {
            directives: directives.to_owned(),
            filter: log_filter(directives)?,
        })
    }
}
