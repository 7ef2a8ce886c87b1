//! What kind of file system a file is on, as far as Linux says.
//!
//! SQLite in WAL mode shares memory between processes and relies on locks.
//! Neither holds over NFS or CIFS: the file may be corrupted, and with it what
//! was bought. What cannot be seen, on other systems or behind FUSE, is left to
//! the operator.

use std::path::{Path, PathBuf};

/// Types of file systems that are mounted over a network and are refused.
const REFUSED: [&str; 6] = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs"];

/// The mounts that this process sees; empty where they cannot be read.
pub(super) fn mounts() -> String {
    // Lossy: a name that is no UTF-8 must not hide the others.
    let read = std::fs::read("/proc/self/mountinfo");
    read.map_or_else(
        |_| String::new(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

/// The type of the network file system that a file is or would be on, `None`
/// for any other. `mounts` is what `/proc/self/mountinfo` holds.
pub(super) fn network<'a>(path: &Path, mounts: &'a str) -> Option<&'a str> {
    let real = real(path)?;
    // Of two mounts on one point, the later one hides the other.
    let nearest = mounts
        .lines()
        .filter_map(mount)
        .filter(|(point, _)| real.starts_with(point))
        .max_by_key(|(point, _)| point.components().count());
    nearest
        .map(|(_, kind)| kind)
        .filter(|kind| REFUSED.contains(kind))
}

/// Where a file is behind all symbolic links; it need not exist yet.
fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    })
}

/// Mount point and type of one line (`proc(5)`): the point is the fifth field,
/// the type is the first one after a lone dash.
fn mount(line: &str) -> Option<(PathBuf, &str)> {
    let point = line.split(' ').nth(4)?;
    let (_, after) = line.split_once(" - ")?;
    Some((unescaped(point), after.split(' ').next()?))
}

/// Spaces, tabs, line ends and backslashes are written as `\` and three octal
/// digits.
fn unescaped(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..3);
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(b'\\');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container's mounts, with its volume as it is given.
    fn with(volume: &str) -> String {
        format!(
            "1289 1170 0:210 / / rw,relatime master:347 - overlay overlay rw,lowerdir=/a,upperdir=/b\n\
             1290 1289 0:213 / /proc rw,nosuid - proc proc rw\n\
             {volume}\n\
             1301 1289 8:1 /kubelet/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n"
        )
    }

    /// The mount of a folder, as the kernel writes it.
    fn at(folder: &Path, kind: &str) -> String {
        let point = folder
            .to_str()
            .unwrap()
            .replace('\\', "\\134")
            .replace(' ', "\\040");
        format!(
            "1296 1289 0:198 / {point} rw,relatime shared:4 master:9 - {kind} 10.0.0.7:/export rw,vers=4.2"
        )
    }

    #[test]
    fn network_file_systems_are_recognized_by_the_nearest_mount() {
        let folder = tempfile::Builder::new().prefix("a b").tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let file = folder.join("ledger.db");
        for kind in ["nfs", "nfs4", "cifs", "smb3"] {
            assert_eq!(network(&file, &with(&at(&folder, kind))), Some(kind));
        }
        for kind in ["ext4", "xfs", "overlay", "tmpfs", "fuse.something"] {
            assert_eq!(network(&file, &with(&at(&folder, kind))), None, "{kind}");
        }
        // A local disk that is mounted below one, or on top of it.
        let parent = folder.parent().unwrap();
        let below = format!("{}\n{}", at(&folder, "ext4"), at(parent, "nfs4"));
        assert_eq!(network(&file, &with(&below)), None);
        let on_top = format!("{}\n{}", at(&folder, "nfs4"), at(&folder, "ext4"));
        assert_eq!(network(&file, &with(&on_top)), None);
        // A folder whose name only begins the same.
        let longer = PathBuf::from(format!("{}-other", folder.display()));
        assert_eq!(network(&file, &with(&at(&longer, "nfs4"))), None);
    }

    #[test]
    fn a_link_is_followed_to_where_the_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        std::fs::create_dir(&there).unwrap();
        std::os::unix::fs::symlink(&there, &here).unwrap();
        let mounts = with(&at(&there.canonicalize().unwrap(), "nfs"));
        assert_eq!(network(&here.join("ledger.db"), &mounts), Some("nfs"));
    }

    #[test]
    fn what_cannot_be_read_refuses_nothing() {
        for mounts in ["", "nonsense", "1 2 3 4 /", " - ", "1 2 0:3 / \\0 rw - nfs x y"] {
            assert_eq!(network(Path::new("/tmp/ledger.db"), mounts), None, "{mounts}");
        }
        assert!(mounts().lines().any(|line| mount(line).is_some()));
    }
}
