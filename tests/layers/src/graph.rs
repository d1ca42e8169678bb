//! Cycles of imports.

use crate::Import;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Returns the sets of files that import one another, directly or indirectly.
pub fn circles(imports: &BTreeSet<Import>) -> Vec<BTreeSet<PathBuf>> {
    let mut arrows: BTreeMap<&PathBuf, Vec<&PathBuf>> = BTreeMap::new();
    for import in imports {
        if let Import::File { from, to } = import {
            arrows.entry(from).or_default().push(to);
        }
    }
    let reached: BTreeMap<_, _> = arrows.keys().map(|&file| (file, reached_from(file, &arrows))).collect();
    let mut found: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (file, reaches) in reached.iter().filter(|(file, reaches)| reaches.contains(*file)) {
        if found.iter().any(|circle| circle.contains(*file)) {
            continue;
        }
        let goes_back =
            |other: &&&PathBuf| reached.get(**other).is_some_and(|reaches| reaches.contains(*file));
        found.push(reaches.iter().filter(goes_back).map(|&other| other.clone()).collect());
    }
    found
}

fn reached_from<'a>(
    file: &PathBuf,
    arrows: &BTreeMap<&'a PathBuf, Vec<&'a PathBuf>>,
) -> BTreeSet<&'a PathBuf> {
    let (mut reached, mut open) = (BTreeSet::new(), arrows.get(file).cloned().unwrap_or_default());
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(arrows.get(next).into_iter().flatten());
        }
    }
    reached
}
