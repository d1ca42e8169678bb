//! The modules of a crate, with their files.

use crate::source::{attributes, is_test};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use syn::{Item, ItemMod, UseTree};

/// The modules of one target of a crate.
pub struct Crate {
    /// The name that other crates import it by.
    pub name: String,
    /// By path from the root, which has the empty path.
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
}

/// One module.
pub(crate) struct Module {
    /// Relative to the folder of the crate.
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
    /// The names from `use` items, with their paths as written. A glob's name is `*`.
    pub(crate) uses: Vec<(String, Vec<String>)>,
}

impl Crate {
    /// Reads a target from its root file, for example `src/lib.rs`.
    ///
    /// # Errors
    /// If a file cannot be read, or is not valid Rust.
    pub fn read(name: &str, folder: &Path, root: &str) -> io::Result<Self> {
        let mut found = Self { name: name.to_owned(), modules: BTreeMap::new() };
        let file = folder.join(root);
        let children = file.parent().map(Path::to_owned).unwrap_or_default();
        found.add_file(&[], &file, &children, folder)?;
        Ok(found)
    }

    /// Returns every file, relative to the folder of the crate.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.modules.values().map(|module| module.file.as_path())
    }

    fn add_file(&mut self, path: &[String], file: &Path, children: &Path, folder: &Path) -> io::Result<()> {
        let named =
            |text: String| io::Error::new(ErrorKind::InvalidData, format!("{}: {text}", file.display()));
        let source = fs::read_to_string(file).map_err(|error| named(error.to_string()))?;
        let parsed: syn::File = syn::parse_str(&source).map_err(|error| named(error.to_string()))?;
        self.add(path, parsed.items, file, children, folder)
    }

    fn add(
        &mut self,
        path: &[String],
        items: Vec<Item>,
        file: &Path,
        children: &Path,
        folder: &Path,
    ) -> io::Result<()> {
        let items: Vec<_> = items.into_iter().filter(|item| !is_test(attributes(item))).collect();
        for item in &items {
            if let Item::Mod(module) = item {
                self.add_child(path, module, file, children, folder)?;
            }
        }
        let mut uses = Vec::new();
        for item in &items {
            if let Item::Use(item) = item {
                flatten(&item.tree, &mut Vec::new(), &mut uses);
            }
        }
        let file = file.strip_prefix(folder).unwrap_or(file).to_owned();
        self.modules.insert(path.to_vec(), Module { file, items, uses });
        Ok(())
    }

    fn add_child(
        &mut self,
        path: &[String],
        module: &ItemMod,
        file: &Path,
        children: &Path,
        folder: &Path,
    ) -> io::Result<()> {
        let name = module.ident.to_string();
        let path = [path, std::slice::from_ref(&name)].concat();
        let below = children.join(&name);
        if let Some((_, items)) = &module.content {
            return self.add(&path, items.clone(), file, &below, folder);
        }
        let flat = children.join(format!("{name}.rs"));
        let own = if flat.exists() { flat } else { below.join("mod.rs") };
        self.add_file(&path, &own, &below, folder)
    }
}

/// Collects the names that a tree of `use` imports, with their paths.
fn flatten(tree: &UseTree, prefix: &mut Vec<String>, uses: &mut Vec<(String, Vec<String>)>) {
    let mut named = |last: &syn::Ident, name: String| {
        let mut path = prefix.clone();
        // `use a::{self}` is `use a`.
        if last != "self" || path.is_empty() {
            path.push(last.to_string());
        }
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name };
        uses.push((name, path));
    };
    match tree {
        UseTree::Path(inner) => {
            prefix.push(inner.ident.to_string());
            flatten(&inner.tree, prefix, uses);
            prefix.pop();
        }
        UseTree::Name(inner) => named(&inner.ident, inner.ident.to_string()),
        UseTree::Rename(inner) => named(&inner.ident, inner.rename.to_string()),
        UseTree::Glob(_) => uses.push(("*".to_owned(), prefix.clone())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, uses)),
    }
}
