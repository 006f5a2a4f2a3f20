//! What a setting is, for people who look it up, and the macro that declares the settings.

/// A setting of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The name in `hims.toml`.
    pub(crate) name: &'static str,
    /// The comment of the declaration.
    pub(super) comment: &'static str,
    /// The environment variable, unless it is named after the setting.
    pub(super) variable: Option<&'static str>,
    /// The flag of the command line, after the command that has the flag; `None` if there is none.
    pub(crate) flag: Option<&'static str>,
    /// What holds if the setting is left out.
    pub(super) default: Default,
}

/// What holds if a setting is left out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    /// A value, as it is written in the environment.
    Value(fn() -> String),
    /// Something that is no value.
    Words(&'static str),
}

/// Settings that people look up together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// What the settings are about.
    pub(crate) title: &'static str,
    /// Where to read on, in Markdown.
    pub(crate) see: &'static str,
    /// The settings.
    pub(crate) settings: &'static [Setting],
}

impl Setting {
    /// What the setting means, on one line.
    pub(crate) fn meaning(&self) -> &'static str {
        self.comment.trim()
    }

    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        self.variable.map_or_else(|| format!("HIMS_{}", self.name.to_uppercase()), str::to_owned)
    }

    /// The value that holds if the setting is left out, as it is written in the environment; `None` if that is no
    /// value.
    pub(crate) fn value(&self) -> Option<String> {
        match self.default {
            Default::Value(value) => Some(value()),
            Default::Words(_) => None,
        }
    }

    /// What holds if the setting is left out, in words; `None` if that is a value.
    pub(crate) fn words(&self) -> Option<&'static str> {
        match self.default {
            Default::Value(_) => None,
            Default::Words(words) => Some(words),
        }
    }
}

/// Declares the struct [`Settings`](super::Settings), its defaults, and the groups of settings for people. A setting is
/// a comment, which says what it means, a name, a type and a default. Where the default is no value, `or` says what
/// holds instead. `variable` names an environment variable that is not named after the setting, `flag` the flag.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $struct:ident {
            $($title:literal, $see:literal {
                $(
                    $(#[doc = $comment:literal])+
                    $(#[serde($($serde:tt)+)])?
                    $name:ident: $type:ty = $default:expr
                        $(, or $words:literal)? $(, variable $variable:literal)? $(, flag $flag:literal)?;
                )+
            })+
            $(beside { $($(#[$meta:meta])* $beside:ident: $beside_type:ty = $beside_default:expr;)+ })?
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $struct {
            $($($(#[doc = $comment])+ $(#[serde($($serde)+)])? pub $name: $type,)+)+
            $($($(#[$meta])* #[serde(skip)] pub $beside: $beside_type,)+)?
        }

        /// Shows no values: some are secrets.
        impl std::fmt::Debug for $struct {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($struct)).finish_non_exhaustive()
            }
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $($($name: $default,)+)+ $($($beside: $beside_default,)+)? }
            }
        }

        /// All settings, in the order of the reference.
        pub(crate) const GROUPS: &[$crate::settings::declaration::Group] = &[$(
            $crate::settings::declaration::Group {
                title: $title,
                see: $see,
                settings: &[$($crate::settings::declaration::Setting {
                    name: stringify!($name),
                    comment: concat!($($comment),+),
                    variable: settings!(@text $($variable)?),
                    flag: settings!(@text $($flag)?),
                    default: settings!(@default $type, $default $(, $words)?),
                }),+],
            }
        ),+];
    };
    (@text) => { None };
    (@text $text:literal) => { Some($text) };
    (@default $type:ty, $default:expr) => {
        $crate::settings::declaration::Default::Value(|| <$type as ToString>::to_string(&$default))
    };
    (@default $type:ty, $default:expr, $words:literal) => {
        $crate::settings::declaration::Default::Words($words)
    };
}
pub(super) use settings;
