//! Files that survive a power cut whole: either the old content or the new, never a mixture.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Bytes that this user may still write to the disk `dir` lies on.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Replaces the file at `path` by `content`, durably.
///
/// Writes a sibling, syncs it, renames it over `path`, syncs the directory. Once this returns the
/// new content survives a power cut.
#[expect(clippy::disallowed_methods, reason = "the one place that renames")]
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory =
        path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut temporary = name.to_os_string();
    temporary.push(".new");
    let temporary = directory.join(temporary);
    {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?; // before the rename, or the name could come to point at nothing
    }
    std::fs::rename(&temporary, path)?;
    sync_directory(directory)
}

/// As [`replace_file`], for passwords: only the owner of the file may read it.
///
/// The owner stays who it was, and of a new file is the owner of the directory, where the caller may
/// give files away: the service must be able to read what an administrator wrote.
#[expect(clippy::disallowed_methods, reason = "the one place that renames")]
pub fn replace_private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
    let directory =
        path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let owner = std::fs::metadata(path).or_else(|_absent| std::fs::metadata(directory))?;
    let mut temporary = path.as_os_str().to_os_string();
    temporary.push(".new");
    if let Err(e) = std::fs::remove_file(&temporary)
        && e.kind() != io::ErrorKind::NotFound
    {
        return Err(e);
    }
    {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        match fchown(&file, Some(owner.uid()), Some(owner.gid())) {
            Err(e) if e.kind() != io::ErrorKind::PermissionDenied => return Err(e),
            _ => {}
        }
        file.write_all(content)?;
        file.sync_all()?;
    }
    std::fs::rename(&temporary, path)?;
    sync_directory(directory)
}

/// Renames a file that is already synced, durably.
#[expect(clippy::disallowed_methods, reason = "the one place that renames")]
pub fn rename_durable(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_directory(to.parent().unwrap_or_else(|| Path::new(".")))
}

/// Makes creations, renames and removals inside `directory` durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_for_its_owner_alone_also_when_it_was_not_before() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logins.toml");
        std::fs::write(&path, b"old").unwrap();
        std::fs::write(dir.path().join("logins.toml.new"), b"left by a crash").unwrap();
        replace_private_file(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn replaced_file_holds_the_new_content_and_leaves_no_sibling() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace_file(&path, b"old").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
