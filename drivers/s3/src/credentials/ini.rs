//! Parses the format of the shared files: sections of settings.

use super::secret::Secret;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// The settings of each section. Values may be secrets.
pub(super) struct Ini(HashMap<String, HashMap<String, Secret>>);

impl Ini {
    /// Parses a file. Lines that are neither a section nor a setting are ignored, as are the indented, nested settings of other
    /// services. If a setting occurs twice, the last value is used.
    pub(super) fn parse(text: &str) -> Self {
        let mut sections: HashMap<String, HashMap<String, Secret>> = HashMap::new();
        let mut section = None;
        for line in text.lines() {
            let is_nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                section = rest.split_once(']').map(|(name, _)| {
                    sections.entry(name.split_whitespace().collect::<Vec<_>>().join(" ")).or_default()
                });
                continue;
            }
            if let (Some(section), Some((name, value)), false) =
                (section.as_mut(), line.split_once('='), is_nested)
            {
                // A comment begins after whitespace.
                let value = value.split([' ', '\t']).scan(false, |is_comment, word| {
                    *is_comment |= word.starts_with(['#', ';']);
                    (!*is_comment).then_some(word)
                });
                let value = Zeroizing::new(value.collect::<Vec<_>>().join(" "));
                section.insert(name.trim().to_lowercase(), Secret::new(value.trim()));
            }
        }
        Self(sections)
    }

    /// Whether there is a section of this name.
    pub(super) fn has(&self, section: &str) -> bool {
        self.0.contains_key(section)
    }

    /// Returns the value of a setting that is not empty.
    pub(super) fn get(&self, section: &str, setting: &str) -> Option<&Secret> {
        self.0.get(section)?.get(setting).filter(|value| !value.reveal().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_settings() {
        let text = "\u{feff}lost = 1\n[default]\nregion=eu-west-1 # here\n\n; no\nREGION_2 = a=b/c+d==\n\
                    s3 =\n  region = nested\n[ profile   other ] ; yes\r\nregion = us-east-2\r\nregion = us-west-2\n[broken\nx = 1\n";
        let ini = Ini::parse(text);
        let get = |section: &str, name: &str| ini.get(section, name).map(|value| value.reveal().to_owned());
        assert_eq!(get("default", "region").as_deref(), Some("eu-west-1"));
        assert_eq!(get("default", "region_2").as_deref(), Some("a=b/c+d=="));
        assert_eq!(get("default", "s3"), None, "empty");
        assert_eq!(get("profile other", "region").as_deref(), Some("us-west-2"));
        assert!(ini.has("profile other") && !ini.has("other") && !ini.has("broken"));
        assert_eq!(get("profile other", "x"), None);
    }
}
