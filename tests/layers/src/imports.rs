//! The imports between the files of a crate, and of other crates.

use crate::modules::{Crate, Module};
use crate::source::{attributes, is_test};
use std::collections::BTreeSet;
use std::path::PathBuf;
use syn::visit::{self, Visit};
use syn::{ImplItemFn, Item, ItemMod, ItemUse, Visibility};

/// One file uses a name that another defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Import {
    /// Of the same crate.
    File {
        /// The importing file.
        from: PathBuf,
        /// The file that defines the name.
        to: PathBuf,
    },
    /// Of another crate, which is named.
    Crate {
        /// The importing file.
        from: PathBuf,
        /// The crate's name in paths.
        to: String,
    },
}

/// Returns the imports of a crate's files: of one another, and of the crates in `others`.
pub fn imports(of: &Crate, others: &[String]) -> BTreeSet<Import> {
    let mut found = BTreeSet::new();
    for (at, module) in &of.modules {
        let mut paths = Paths::default();
        for item in &module.items {
            paths.visit_item(item);
        }
        paths.0.extend(module.uses.iter().map(|(_, path)| path.clone()));
        let from = &module.file;
        for path in paths.0 {
            if let Some(to) = path.first().filter(|first| others.contains(first)) {
                found.insert(Import::Crate { from: from.clone(), to: to.clone() });
            } else if let Some(to) = file_of(of, at, &path, 0)
                && to != *from
            {
                found.insert(Import::File { from: from.clone(), to });
            }
        }
    }
    found
}

/// Paths in a module's own code, except its `use` items and its child modules.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_use(&mut self, _: &'ast ItemUse) {}

    /// Skips the path of `pub(in path)`, which names a module but imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A single segment is an imported name, or one of the module itself.
        if segments.len() > 1 {
            self.0.push(segments);
        }
        visit::visit_path(self, path);
    }
}

/// Returns the file that defines what `path` names, seen from the module `at`. `None` if it is not in this crate.
fn file_of(of: &Crate, at: &[String], path: &[String], depth: usize) -> Option<PathBuf> {
    // Two modules may glob-import each other.
    if depth > 16 {
        return None;
    }
    let (mut at, mut rest) = (at.to_vec(), path);
    while let [first, more @ ..] = rest {
        match first.as_str() {
            "crate" => at.clear(),
            "super" => {
                at.pop();
            }
            "self" => {}
            _ => break,
        }
        rest = more;
    }
    let is_anchored = rest.len() < path.len();
    loop {
        let module = of.modules.get(&at)?;
        let Some((first, more)) = rest.split_first() else { return Some(module.file.clone()) };
        let child = [at.as_slice(), std::slice::from_ref(first)].concat();
        if of.modules.contains_key(&child) {
            (at, rest) = (child, more);
            continue;
        }
        if defines(module, first) {
            return Some(module.file.clone());
        }
        if let Some((_, target)) = module.uses.iter().find(|(name, _)| name == first) {
            // A path that resolves to its own name leaves the crate.
            let same = target.first() == Some(first) && target.len() == 1;
            return (!same).then(|| file_of(of, &at, &[target, more].concat(), depth + 1)).flatten();
        }
        let globs = module.uses.iter().filter(|(name, _)| name == "*");
        let mut targets =
            globs.filter_map(|(_, target)| file_of(of, &at, &[target, rest].concat(), depth + 1));
        // Macros belong to the crate, wherever they are defined.
        return targets.next().or_else(|| is_anchored.then(|| module.file.clone()));
    }
}

fn defines(module: &Module, name: &str) -> bool {
    module.items.iter().any(|item| match item {
        Item::Const(item) => item.ident == name,
        Item::Enum(item) => item.ident == name,
        Item::Fn(item) => item.sig.ident == name,
        Item::Static(item) => item.ident == name,
        Item::Struct(item) => item.ident == name,
        Item::Trait(item) => item.ident == name,
        Item::Type(item) => item.ident == name,
        Item::Macro(item) => item.ident.as_ref().is_some_and(|ident| ident == name),
        _ => false,
    })
}
