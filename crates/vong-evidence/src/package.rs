//! A package as it lies there: a folder or an archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{ArchiveReader, Error};

/// Texts larger than this are none of ours.
const TEXT_LIMIT: u64 = 256 << 20;
const MOST_FILES: usize = 10_000;
const PIECE: u64 = 1 << 20;

/// A package opened for reading.
#[derive(Debug)]
pub struct Package {
    kind: Kind,
    /// Length of each file.
    files: BTreeMap<String, u64>,
}

#[derive(Debug)]
enum Kind {
    Folder(PathBuf),
    Archive(ArchiveReader),
}

impl Package {
    /// Opens a folder or a ZIP archive.
    ///
    /// # Errors
    /// When there is neither, or the archive cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let metadata = path.metadata().map_err(|source| Error::io("open", path, source))?;
        let not = |why: String| Error::NotAPackage { path: path.to_owned(), why };
        if metadata.is_dir() {
            let mut files = BTreeMap::new();
            list(path, "", &mut files)?;
            return Ok(Self { kind: Kind::Folder(path.to_owned()), files });
        }
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let archive = ArchiveReader::open(file).map_err(not)?;
        let entries = archive.entries().iter();
        let files: BTreeMap<_, _> = entries.map(|(e, _)| (e.name.clone(), e.bytes)).collect();
        if files.len() != archive.entries().len() {
            return Err(not("a name stands twice in the archive".to_owned()));
        }
        Ok(Self { kind: Kind::Archive(archive), files })
    }

    /// Files and their lengths, by name; folders are parted by `/`.
    pub(crate) fn files(&self) -> &BTreeMap<String, u64> {
        &self.files
    }

    /// Writes every file below `folder`, which is made.
    ///
    /// # Errors
    /// When a name would lead out of the folder, a file is there already, or the disk refuses.
    pub fn unpack(&self, folder: &Path) -> Result<(), Error> {
        for (name, len) in &self.files {
            let plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !plain || name.contains(['\\', '\0']) {
                let why = format!("'{name}' is no name of a file");
                return Err(Error::NotAPackage { path: folder.to_owned(), why });
            }
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
            let reader = self.reader(name)?;
            let mut file = File::create_new(&path).map_err(|e| Error::io("create", &path, e))?;
            let mut at = 0;
            while at < *len {
                let bytes = reader.read(at, PIECE.min(len - at))?;
                file.write_all(&bytes).map_err(|e| Error::io("write", &path, e))?;
                at += bytes.len() as u64;
            }
            file.sync_all().map_err(|e| Error::io("sync", &path, e))?;
        }
        Ok(())
    }

    /// Whether an archive is byte for byte as it was made, its files aside; true of a folder.
    pub(crate) fn is_as_packed(&self) -> bool {
        match &self.kind {
            Kind::Folder(_) => true,
            Kind::Archive(archive) => archive.is_as_written(),
        }
    }

    /// A whole small file; `None` if it is not there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(len) = self.files.get(name).copied() else { return Ok(None) };
        if len > TEXT_LIMIT {
            let path = PathBuf::from(name);
            return Err(Error::NotAPackage { path, why: format!("{len} bytes of text") });
        }
        self.reader(name)?.read(0, len).map(Some)
    }

    /// SHA-256 of a file that is there.
    pub(crate) fn hash(&self, name: &str) -> Result<[u8; 32], Error> {
        let reader = self.reader(name)?;
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < reader.len {
            let piece = PIECE.min(reader.len - at);
            hash.update(reader.read(at, piece)?);
            at += piece;
        }
        Ok(hash.finalize().into())
    }

    pub(crate) fn reader(&self, name: &str) -> Result<FileReader<'_>, Error> {
        let path = PathBuf::from(name);
        let len = self.files.get(name).copied().unwrap_or(0);
        let from = match &self.kind {
            Kind::Folder(folder) => {
                let path = folder.join(name);
                From::File(File::open(&path).map_err(|e| Error::io("open", &path, e))?)
            }
            Kind::Archive(archive) => {
                let found = archive.entries().iter().find(|(entry, _)| entry.name == name);
                From::Archive(archive, found.map_or(0, |(_, start)| *start))
            }
        };
        Ok(FileReader { path, len, from })
    }
}

/// One file of a package.
#[derive(Debug)]
pub(crate) struct FileReader<'a> {
    path: PathBuf,
    pub(crate) len: u64,
    from: From<'a>,
}

#[derive(Debug)]
enum From<'a> {
    File(File),
    Archive(&'a ArchiveReader, u64),
}

impl FileReader<'_> {
    /// Exactly these bytes; an error where the file is shorter.
    pub(crate) fn read(&self, at: u64, len: u64) -> Result<Vec<u8>, Error> {
        let io = |source| Error::io("read", &self.path, source);
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        match &self.from {
            From::File(file) => file.read_exact_at(&mut bytes, at).map_err(io)?,
            From::Archive(archive, start) => archive.read_at(start + at, &mut bytes).map_err(io)?,
        }
        Ok(bytes)
    }
}

fn list(dir: &Path, prefix: &str, files: &mut BTreeMap<String, u64>) -> Result<(), Error> {
    let io = |source| Error::io("list", dir, source);
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.path().metadata().map_err(io)?;
        if files.len() >= MOST_FILES {
            let why = format!("more than {MOST_FILES} files");
            return Err(Error::NotAPackage { path: dir.to_owned(), why });
        }
        if metadata.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, metadata.len());
        }
    }
    Ok(())
}
