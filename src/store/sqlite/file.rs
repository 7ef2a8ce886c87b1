//! The database file and the locks beside it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::file_system;
use crate::store::OpenError;

/// A file that is being opened. Others that open it wait until this is dropped:
/// creating tables, ending leases and changing from the exclusive to the shared
/// lock are one step for them.
pub(super) struct Opening {
    in_use: File,
    /// This process is its only user.
    pub(super) exclusive: bool,
    _gate: File,
}

impl Opening {
    /// Lets others open it. Returns the lock that shows them that the file is
    /// in use, and whether this process is its only user.
    pub(super) fn opened(self) -> (File, bool) {
        (self.in_use, self.exclusive)
    }
}

/// Creates the file when it is missing and locks it for opening. Blocks while
/// another process opens it.
///
/// # Errors
/// The folder does not exist or is on a network file system, or a file cannot
/// be used.
pub(super) fn enter(path: &Path) -> Result<Opening, OpenError> {
    enter_among(path, &file_system::mounts())
}

fn enter_among(path: &Path, mounts: &str) -> Result<Opening, OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        return Err(OpenError::FolderMissing(folder.to_owned()));
    }
    // Before anything is created there. Only a gateway is refused: move-ledger
    // has to read what an earlier one left.
    if let Some(kind) = file_system::network(path, mounts) {
        return Err(OpenError::NetworkFileSystem {
            path: path.to_owned(),
            kind: kind.to_owned(),
        });
    }
    let gate = private(&beside(path, ".opening"))?;
    let in_use = private(&beside(path, ".lock"))?;
    let failed = |source| OpenError::File {
        path: beside(path, ".lock"),
        source,
    };
    gate.lock().map_err(failed)?;
    private(path)?;
    let exclusive = match in_use.try_lock() {
        Ok(()) => {
            // A lock cannot be changed, only released and taken again; no other
            // process tries meanwhile, because of the gate.
            in_use.unlock().map_err(failed)?;
            true
        }
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    };
    in_use.lock_shared().map_err(failed)?;
    Ok(Opening {
        in_use,
        exclusive,
        _gate: gate,
    })
}

/// Takes part in the use of an existing file; `None` while another process uses
/// it alone. Never waits. Gateways that start meanwhile find that they are not
/// alone.
pub(super) fn join(path: &Path) -> Result<Option<File>, OpenError> {
    if !path.is_file() {
        return Err(OpenError::FileMissing(path.to_owned()));
    }
    let path = beside(path, ".lock");
    let file = private(&path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path, source }),
    }
}

/// Exclusive use of a file while it is held: others that open the file wait.
pub(in crate::store) struct Claim {
    _gate: File,
    _in_use: File,
}

/// Claims an existing file; `None` when it is in use. Never waits.
pub(in crate::store) fn claim(path: &Path) -> Result<Option<Claim>, OpenError> {
    let claimed = |ending: &str| -> Result<Option<File>, OpenError> {
        let path = beside(path, ending);
        let file = private(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(OpenError::File { path, source }),
        }
    };
    let Some(gate) = claimed(".opening")? else {
        return Ok(None);
    };
    Ok(claimed(".lock")?.map(|in_use| Claim {
        _gate: gate,
        _in_use: in_use,
    }))
}

/// Opens a file; a new one is readable by its owner only, since orders are
/// personal data. SQLite gives its other files the same mode.
fn private(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened: io::Result<File> = options.open(path);
    opened.map_err(|source| OpenError::File {
        path: path.to_owned(),
        source,
    })
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_on_nfs_is_refused_in_plain_words_and_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let mounts = format!("96 89 0:98 / {} rw - nfs4 10.0.0.7:/export rw", real.display());
        let path = folder.path().join("ledger.db");
        let Err(refused) = enter_among(&path, &mounts) else {
            panic!("opened");
        };
        let text = refused.to_string();
        assert!(text.starts_with("store.url: "), "{text}");
        assert!(text.contains("is on a network file system (nfs4)"), "{text}");
        assert!(text.contains("move-ledger"), "{text}");
        assert!(!refused.may_pass());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(enter(&path).is_ok(), "the machine's own disk");
    }
}
