//! Checks ARCHITECTURE.md: linked files exist, and define the functions and types that the links name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

const PAGE: &str = include_str!("../../../../ARCHITECTURE.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the label and the target of every link to a file of this repository.
fn links() -> Vec<(&'static str, &'static str)> {
    PAGE.split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once("]("))
        .filter_map(|(label, rest)| Some((label, rest.split_once(')')?.0)))
        .filter(|(label, target)| !label.contains(']') && !target.contains("://"))
        .collect()
}

/// The names that a file defines, apart from modules.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_ident(&mut self, _: &'ast syn::Ident) {}

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.0.insert(signature.ident.to_string());
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Struct(item) => drop(self.0.insert(item.ident.to_string())),
            syn::Item::Enum(item) => drop(self.0.insert(item.ident.to_string())),
            syn::Item::Trait(item) => drop(self.0.insert(item.ident.to_string())),
            syn::Item::Type(item) => drop(self.0.insert(item.ident.to_string())),
            _ => {}
        }
        visit::visit_item(self, item);
    }
}

/// Returns what a label in code font names, unless it is the file or folder itself.
fn named<'a>(label: &'a str, target: &Path) -> Option<&'a str> {
    let name = label.strip_prefix('`')?.strip_suffix('`')?;
    let is_path = name.contains(['/', '.']) || target.extension().is_none_or(|extension| extension != "rs");
    let mut parts = target.components().map(|part| Path::new(part.as_os_str()).file_stem().unwrap());
    (!is_path && !parts.any(|part| part == name)).then(|| name.rsplit("::").next().unwrap())
}

#[test]
fn every_link_leads_to_a_file_or_folder() {
    let links = links();
    assert!(links.len() > 50, "{} links were found", links.len());
    let missing: Vec<_> = links.iter().filter(|(_, target)| !root().join(target).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_function_and_type_is_where_the_page_says() {
    let mut checked = 0;
    for (label, target) in links() {
        let Some(name) = named(label, Path::new(target)) else { continue };
        let mut names = Names::default();
        names.visit_file(&syn::parse_file(&fs::read_to_string(root().join(target)).unwrap()).unwrap());
        assert!(names.0.contains(name), "{target} does not define {name}");
        checked += 1;
    }
    assert!(checked > 20, "{checked} names were checked");
}
