//! docs/performance.md and its plots: made of a record, and of what was written by hand beside it.

mod claim;
mod goals;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::record::Record;

/// `fanfare-bench page`.
#[derive(Clone, Debug, Args)]
pub struct PageArgs {
    /// The record to make it of: target/bench/suite.json after a suite, or the page's own data. Of several, a later
    /// one takes the place of an earlier one in those settings that it has
    #[arg(long, value_name = "FILE", default_value = "docs/performance/data.json")]
    from: Vec<PathBuf>,
    /// Where performance.md and the folder performance/ are
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    docs: PathBuf,
}

/// The page as it should be: files and what is in them.
struct Page {
    /// Path below the folder of the documentation, and the text.
    files: Vec<(PathBuf, String)>,
}

/// Makes the page, its plots and its data.
///
/// # Errors
/// When the record cannot be read or a file cannot be written.
pub fn write_page(args: &PageArgs) -> Result<()> {
    let mut records = args.from.iter().map(|path| Record::load(path));
    let mut record = records.next().context("a page needs a record: --from")??;
    for later in records {
        record.replace_settings(later?);
    }
    let page = Page::of(&record, &findings(&args.docs)?)?;
    remove_plots(&args.docs.join(FOLDER))?;
    for (path, text) in &page.files {
        let path = args.docs.join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}: {} files", args.docs.join(PAGE).display(), page.files.len());
    Ok(())
}

const PAGE: &str = "performance.md";
const FOLDER: &str = "performance";
const DATA: &str = "performance/data.json";

impl Page {
    fn of(record: &Record, findings: &str) -> Result<Self> {
        let (text, plots) = write::page(record, findings);
        let mut files = vec![(PathBuf::from(PAGE), text), (PathBuf::from(DATA), record.text()?)];
        files.extend(plots.into_iter().map(|(name, svg)| (Path::new(FOLDER).join(name), svg)));
        Ok(Self { files })
    }
}

/// What was written by hand.
fn findings(docs: &Path) -> Result<String> {
    let path = docs.join(FOLDER).join("findings.md");
    fs::read_to_string(&path).with_context(|| format!("cannot read {}, which the page includes", path.display()))
}

/// Plots of settings that are no longer measured would stay behind.
fn remove_plots(folder: &Path) -> Result<()> {
    let files = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
