//! The words of e-mails and text messages, by language. Each template knows the visit's day and time, the hospital's
//! name and telephone number and a link to log in, and nothing else; that of a reset knows its token instead of a visit.

use chrono::{Datelike as _, Timelike as _};
use chrono_tz::Tz;
use hims_commands::{Message, ResetMail};
use hims_domain::notification::{NotificationType, Visit};
use minijinja::{Environment, Value, context};

use super::OutsideError;
use crate::Settings;

/// The language of those who want none that there are templates in.
const FALLBACK: &str = "en";

/// Lists the templates: for each language, one for each kind of message and form.
macro_rules! templates {
    ($($language:literal),*) => {
        [$(
            (concat!($language, "/day"), include_str!(concat!("templates/", $language, "/day"))),
            (concat!($language, "/reminder.mail"), include_str!(concat!("templates/", $language, "/reminder.mail"))),
            (concat!($language, "/reminder.line"), include_str!(concat!("templates/", $language, "/reminder.line"))),
            (concat!($language, "/changed.mail"), include_str!(concat!("templates/", $language, "/changed.mail"))),
            (concat!($language, "/changed.line"), include_str!(concat!("templates/", $language, "/changed.line"))),
            (concat!($language, "/news.mail"), include_str!(concat!("templates/", $language, "/news.mail"))),
            (concat!($language, "/news.line"), include_str!(concat!("templates/", $language, "/news.line"))),
            (concat!($language, "/reset.mail"), include_str!(concat!("templates/", $language, "/reset.mail"))),
        )*]
    };
}

/// The templates, each with its name.
const TEMPLATES: &[(&str, &str)] = &templates!("en", "de", "es", "fr");

/// An e-mail, ready to be sent.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
}

impl Written {
    /// An e-mail as its template writes it: the first line is the subject.
    fn of(written: &str) -> Self {
        let (subject, text) = written.split_once('\n').unwrap_or((written, ""));
        Self { subject: subject.trim().to_owned(), text: format!("{}\n", text.trim()) }
    }
}

/// Writes e-mails and text messages.
pub(super) struct Words {
    templates: Environment<'static>,
    hospital: String,
    phone: Option<String>,
    link: Option<String>,
}

impl Words {
    /// Reads the templates and the settings.
    pub(super) fn try_new(settings: &Settings) -> Result<Self, OutsideError> {
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        for (name, text) in TEMPLATES {
            templates
                .add_template(name, text)
                .map_err(|error| OutsideError::of("hospital_name", format!("cannot be written: {error}")))?;
        }
        let (hospital, phone, link) =
            (settings.hospital_name.clone(), settings.hospital_phone.clone(), settings.public_url.clone());
        for (setting, value) in [("hospital_name", Some(&hospital)), ("hospital_phone", phone.as_ref())] {
            if value.is_some_and(|it| it.chars().any(char::is_control)) {
                return Err(OutsideError::of(setting, "must be in one line"));
            }
        }
        let is_web = |it: &String| it.starts_with("https://") || it.starts_with("http://");
        if link.as_ref().is_some_and(|it| !is_web(it) || it.contains(char::is_whitespace)) {
            return Err(OutsideError::of(
                "public_url",
                "must be the URL of the pages, such as https://hims.example.org",
            ));
        }
        Ok(Self { templates, hospital, phone, link })
    }

    /// The e-mail of a message.
    pub(super) fn mail(&self, message: &Message) -> Written {
        Written::of(&self.write(message, "mail"))
    }

    /// The e-mail of a reset. The token stands behind the `#` of the link: browsers keep that part to themselves, so
    /// that no log of a server on the way holds the token.
    pub(super) fn reset(&self, reset: &ResetMail) -> Written {
        let language = self.language(reset.language.as_deref());
        let known = context! {
            hospital => &self.hospital, phone => &self.phone, link => &self.link, token => &reset.token,
        };
        Written::of(&self.render(&format!("{language}/reset.mail"), known))
    }

    /// The text message of a message, in one line.
    pub(super) fn line(&self, message: &Message) -> String {
        self.write(message, "line").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The language that is wanted, or the nearest in which there are templates.
    fn language(&self, wanted: Option<&str>) -> String {
        let language = wanted.unwrap_or(FALLBACK).to_lowercase();
        let spoken = language.split(['-', '_']).next().unwrap_or(FALLBACK);
        let is_spoken = self.templates.get_template(&format!("{spoken}/day")).is_ok();
        if is_spoken { spoken } else { FALLBACK }.to_owned()
    }

    /// Writes a message in the language that is wanted, or the nearest that there is.
    fn write(&self, message: &Message, form: &str) -> String {
        let language = &self.language(message.language.as_deref());
        let visit = message.visit.as_ref();
        let kind = match message.notification_type {
            NotificationType::AppointmentReminder if visit.is_some() => "reminder",
            NotificationType::AppointmentChanged if visit.is_some() => "changed",
            _ => "news",
        };
        let (day, time) = visit.map(|it| self.when(language, it)).unwrap_or_default();
        let known = context! {
            hospital => &self.hospital, phone => &self.phone, link => &self.link, day => day, time => time,
        };
        self.render(&format!("{language}/{kind}.{form}"), known)
    }

    /// The day of a visit in words, and its time by the clock on the wall there.
    fn when(&self, language: &str, visit: &Visit) -> (String, String) {
        let zone: Tz = visit.time_zone.as_str().parse().unwrap_or(Tz::UTC);
        let at = visit.starts_at.with_timezone(&zone);
        let parts = context! {
            weekday => at.weekday().num_days_from_monday(), day => at.day(), month => at.month0(), year => at.year(),
        };
        let day = self.render(&format!("{language}/day"), parts);
        (day.trim().to_owned(), format!("{:02}:{:02}", at.hour(), at.minute()))
    }

    /// The text of a template. All templates are there and fit what they are given, as a test shows.
    fn render(&self, name: &str, known: Value) -> String {
        let rendered = self.templates.get_template(name).and_then(|it| it.render(known));
        rendered.unwrap_or_else(|error| {
            tracing::error!(%error, name, "a template could not be written");
            self.hospital.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use hims_domain::notification::Channel;
    use uuid::Uuid;

    use super::*;

    fn words() -> Words {
        let settings = Settings {
            hospital_name: "Hill Hospital".to_owned(),
            hospital_phone: Some("+1 555 415 3084".to_owned()),
            public_url: Some("https://hims.example.org".to_owned()),
            ..Settings::default()
        };
        Words::try_new(&settings).unwrap()
    }

    fn message(notification_type: NotificationType, language: Option<&str>, visit: bool) -> Message {
        let starts_at = DateTime::parse_from_rfc3339("2026-11-24T15:05:00Z").unwrap().to_utc();
        Message {
            id: Uuid::from_u128(0x81).into(),
            channel: Channel::Email,
            address: "planted@example.org".to_owned(),
            notification_type,
            visit: visit.then(|| Visit { starts_at, time_zone: "America/New_York".into() }),
            language: language.map(str::to_owned),
        }
    }

    #[test]
    fn a_reminder_names_day_time_hospital_telephone_and_link() {
        let reminder = |language| words().mail(&message(NotificationType::AppointmentReminder, language, true));
        let english = reminder(None);
        assert_eq!(english.subject, "Hill Hospital: your visit on Tuesday, 24 November 2026");
        for part in
            ["Tuesday, 24 November 2026", "10:05", "Hill Hospital", "+1 555 415 3084", "https://hims.example.org"]
        {
            assert!(english.text.contains(part), "{part} in {}", english.text);
        }
        assert!(reminder(Some("de-CH")).text.contains("Dienstag, 24. November 2026"));
        assert!(reminder(Some("ES")).text.contains("martes, 24 de noviembre de 2026"));
        assert!(reminder(Some("fr")).text.contains("mardi 24 novembre 2026"));
        assert_eq!(reminder(Some("tlh")), english);
    }

    #[test]
    fn every_template_says_nothing_but_day_time_hospital_telephone_and_link() {
        let all = words();
        let mut written = Vec::new();
        for code in NotificationType::CODES {
            let notification_type = NotificationType::parse(code).unwrap();
            for (language, visit) in ["en", "de", "es", "fr"].into_iter().flat_map(|it| [(it, true), (it, false)]) {
                let message = message(notification_type, Some(language), visit);
                let mail = all.mail(&message);
                assert!(!mail.subject.is_empty() && mail.text.contains("Hill Hospital"), "{code} {language}");
                for text in [mail.subject, mail.text, all.line(&message)] {
                    assert!(!text.contains("{{") && !text.contains("undefined"), "{text}");
                    written.push(text);
                }
                assert!(all.line(&message).chars().count() <= 300, "a text message is short");
            }
        }
        // The words of what must not be in an e-mail: addresses, types, and what these are about.
        let forbidden = [
            "planted",
            "result",
            "critical",
            "specimen",
            "prescription",
            "stock",
            "claim",
            "report",
            "waitlist",
            "lab",
            "test",
            "drug",
            "medic",
            "doctor",
            "dr.",
            "cardiology",
            "$",
            "Befund",
            "Rezept",
            "Labor",
            "resultado",
            "receta",
            "ordonnance",
            "résultat",
        ];
        for text in &written {
            let folded = text.to_lowercase();
            let found: Vec<_> = forbidden.iter().filter(|it| folded.contains(&it.to_lowercase())).collect();
            assert!(found.is_empty(), "{found:?} in {text}");
        }
    }

    #[test]
    fn a_reset_says_what_to_do_in_each_language_and_holds_the_token_behind_the_link() {
        let reset = |language: &str| {
            let (address, token) = ("planted@example.org".to_owned(), "the.token".to_owned());
            ResetMail { id: Uuid::from_u128(0x81), address, token, language: Some(language.to_owned()) }
        };
        for (language, says) in [("en", "30 minutes"), ("de", "30 Minuten"), ("es", "30 minutos"), ("fr", "30 minutes")]
        {
            let mail = words().reset(&reset(language));
            for part in [says, "Hill Hospital", "https://hims.example.org#password-reset=the.token\n"] {
                assert!(mail.text.contains(part), "{part} in {}", mail.text);
            }
            assert!(mail.subject.contains("Hill Hospital") && !mail.text.contains("planted"));
            let bare = Words::try_new(&Settings::default()).unwrap().reset(&reset(language));
            assert!(bare.text.contains("the.token\n") && !bare.text.contains('#'), "{}", bare.text);
        }
        assert_ne!(words().reset(&reset("de")), words().reset(&reset("en")));
    }

    #[test]
    fn what_is_not_set_up_leaves_no_gap() {
        let bare = Words::try_new(&Settings::default()).unwrap();
        for language in ["en", "de", "es", "fr"] {
            let mail = bare.mail(&message(NotificationType::System, Some(language), false));
            assert!(!mail.text.contains("none") && !mail.text.contains("  "), "{}", mail.text);
        }
        for (setting, value) in [("hospital_name", "two\nlines"), ("public_url", "javascript:alert(1)")] {
            let mut settings = Settings::default();
            match setting {
                "hospital_name" => settings.hospital_name = value.to_owned(),
                _ => settings.public_url = Some(value.to_owned()),
            }
            assert!(Words::try_new(&settings).is_err_and(|it| it.to_string().contains(setting)));
        }
    }
}
