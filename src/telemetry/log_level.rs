//! Which lines the log has, and how that is changed while the process runs.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

use crate::config::log_filter;

/// The present filter of the log. Cheap to clone.
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
    /// The log is gone.
    #[error(transparent)]
    Log(#[from] reload::Error),
}

impl LogLevel {
    /// A filter that can be changed, and what changes it.
    pub(super) fn new(directives: &str) -> Result<(reload::Layer<Targets, Registry>, Self), String> {
        let present = Present::read(directives)?;
        let (layer, filter) = reload::Layer::new(present.filter.clone());
        let present = Arc::new(Mutex::new(present));
        Ok((layer, Self { filter, present }))
    }

    /// The directives that hold at present.
    pub fn directives(&self) -> String {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.directives.clone()
    }

    /// Lets these directives hold until they are changed again or the process
    /// ends, and says so in the log unless it has no warnings before and
    /// after.
    ///
    /// # Errors
    /// When they cannot be read; then nothing changes.
    pub fn change(&self, directives: &str) -> Result<(), ChangeError> {
        let next = Present::read(directives).map_err(ChangeError::Directives)?;
        let announce = || tracing::warn!(now = next.directives, "the log level is changed");
        // Held to the end, so that two changes are logged in their order.
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
