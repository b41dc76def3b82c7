//! The settings of `raft3d serve` as clap knows them, laid out for readers: the table of
//! `docs/configuration.md` and the configuration file that the Debian package installs.

use std::fmt::Write;

use clap::{Arg, Args, Command};

use crate::config::{ServeArgs, Settings};

/// One setting of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name: the flag without its dashes, and the key in the file.
    pub name: String,
    /// The environment variable, if it has one.
    pub variable: Option<String>,
    /// What its value looks like, as in `HOST:PORT`; nothing for a switch.
    pub form: Option<String>,
    /// The value if it is given nowhere, if it has one that is always the same.
    pub default: Option<String>,
    /// What it is for.
    pub about: String,
}

/// The settings of a node that can be in its configuration file, in the order of the help.
pub fn of_a_node() -> Vec<Setting> {
    documented(&Settings::augment_args(Command::new("serve")))
}

fn documented(command: &Command) -> Vec<Setting> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(Setting::of).collect()
}

impl Setting {
    fn of(arg: &Arg) -> Option<Setting> {
        let help = arg.get_long_help().or(arg.get_help())?;
        let help = help.to_string();
        let words: Vec<_> = help.split_whitespace().collect();
        let (about, written) = split_default(&words.join(" "));
        let built_in = arg.get_default_values().first();
        Some(Setting {
            name: arg.get_long()?.to_owned(),
            variable: arg.get_env().map(|name| name.to_string_lossy().into()),
            form: takes_value(arg).then(|| form(arg)),
            default: written.or(built_in.map(|value| value.to_string_lossy().into())),
            about,
        })
    }
}

/// The help text without its closing `[default: VALUE]`, and that value.
fn split_default(help: &str) -> (String, Option<String>) {
    let split = help.split_once(" [default: ");
    match split.and_then(|(about, rest)| Some((about, rest.strip_suffix(']')?))) {
        Some((about, default)) => (about.to_owned(), Some(default.to_owned())),
        None => (help.to_owned(), None),
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn form(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.join(" ")
}

/// A Markdown table of `raft3d serve`'s options, in the order of the help.
pub fn table() -> String {
    let mut table = String::from("| flag | environment | default | |\n|---|---|---|---|\n");
    for setting in documented(&ServeArgs::augment_args(Command::new("serve"))) {
        let code = |text: String| format!("`{text}`");
        let form = setting
            .form
            .map_or(String::new(), |form| format!(" {form}"));
        let variable = setting.variable.map_or(String::new(), code);
        let default = setting.default.map_or(String::new(), |default| {
            // Some defaults are described, not written out.
            if default.contains(' ') {
                default
            } else {
                code(default)
            }
        });
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| `--{}{form}` | {variable} | {default} | {} |",
            setting.name,
            setting.about.replace('|', "\\|"),
        );
    }
    table
}

/// A configuration file that explains every setting and sets none but those in `set`, by name.
pub fn file(set: &[(&str, &str)]) -> String {
    let mut file = String::from(
        "# Settings of this node, as `raft3d serve --config` reads them. A flag beats the\n\
         # environment, which beats this file, which beats the default. What is commented out\n\
         # shows its default, or else what a value looks like.\n",
    );
    for setting in of_a_node() {
        let chosen = set.iter().find(|(name, _)| *name == setting.name);
        let mark = if chosen.is_some() { "" } else { "#" };
        let value = chosen.map_or_else(|| setting.sample(), |(_, value)| (*value).to_owned());
        let _ = write!(file, "\n{}", commented(&setting.about));
        let _ = writeln!(file, "{mark}{} = {}", setting.name, toml_value(&value));
    }
    file
}

impl Setting {
    /// The default, or else what a value looks like.
    fn sample(&self) -> String {
        let default = self.default.clone().filter(|value| !value.contains(' '));
        let form = self.form.clone().unwrap_or("false".into());
        default.unwrap_or(match form.as_str() {
            "N" => "1".into(),
            "BOOL" => "false".into(),
            _ => form,
        })
    }
}

fn toml_value(text: &str) -> String {
    match text.parse::<i64>().is_ok() || text.parse::<bool>().is_ok() {
        true => text.to_owned(),
        false => format!("{text:?}"),
    }
}

/// `text` as lines of comment, of at most 80 characters where its words allow.
fn commented(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > 80 {
            let _ = writeln!(lines, "{line}");
            line = "#".into();
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}
