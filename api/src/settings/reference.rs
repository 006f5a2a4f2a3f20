//! The reference of the settings, for people: docs/configuration.md, and `hims settings` on the command line.

use textwrap::{Options, fill};

use super::GROUPS;
use super::declaration::Setting;

/// What the program reads from the environment beside its settings.
const BESIDE: &[(&str, &str)] = &[
    (
        "RUST_LOG",
        "What is logged: levels, for the whole program or for parts of it, such as `warn` or `info,sqlx=warn` (the \
         default). What libraries say of requests that they cannot read is logged only if they are named: \
         `actix_http::h1=error`, `webauthn_rs=error`.",
    ),
    ("XDG_DATA_HOME", "The folder in which `data_dir` is by default."),
    ("HOME", "The folder in which `.local/share` stands for `XDG_DATA_HOME` if that is not set."),
    (
        "XDG_RUNTIME_DIR",
        "Where the socket of the embedded PostgreSQL is if its path in the data directory would be too long.",
    ),
    ("PATH", "Where `setpriv`, and PostgreSQL's programs if `pg_bin` does not say, are searched."),
    (
        "PGHOST, PGHOSTADDR, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY, \
         PGOPTIONS, PGPASSFILE",
        "What `database_url` and `migration_url` leave out, as for other clients of PostgreSQL.",
    ),
    (
        "OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_COMPRESSION, \
         OTEL_METRIC_EXPORT_INTERVAL, OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, OTEL_BSP_SCHEDULE_DELAY",
        "What is sent to `otlp_endpoint`, and how, as OpenTelemetry defines it for all programs.",
    ),
];

const PAGE: &str = "\
# Configuration

Flags take precedence over the environment, and the environment over `hims.toml` in the working directory. A setting
that the program does not know, or whose value it cannot read, is refused at the start. Values that hold a password are
never printed; keep them in `hims.toml`, readable by the program's account only, rather than in the environment.

```toml
bind = \"127.0.0.1:8080\"
database_url = \"postgres://hims:…@db.example.org/hims\"
master_key_file = \"/etc/hims/master.key\"
```

`hims settings` prints this page in a form for terminals. The page is made by the program, from the declaration of the
settings: `hims settings --markdown`.
";

/// The reference as a page of the documentation, in Markdown.
pub(crate) fn markdown() -> String {
    let mut lines = vec![PAGE.to_owned()];
    for group in GROUPS {
        lines.push(format!("## {}\n\n{}\n", group.title, group.see));
        lines.push("| Setting | Environment | Flag | Default | Meaning |\n|---|---|---|---|---|".to_owned());
        lines.extend(group.settings.iter().map(row));
        lines.push(String::new());
    }
    lines.push("## Beside the settings\n\nThese variables of the environment have no setting.\n".to_owned());
    lines.push("| Environment | Meaning |\n|---|---|".to_owned());
    lines.extend(BESIDE.iter().map(|(names, meaning)| format!("| `{}` | {meaning} |", names.replace(", ", "`, `"))));
    lines.join("\n")
}

/// The row of a setting in a table.
fn row(it: &Setting) -> String {
    let default = it.value().map_or_else(|| it.words().unwrap_or_default().to_owned(), |value| format!("`{value}`"));
    let flag = it.flag.map(|flag| format!("`{flag}`")).unwrap_or_default();
    format!("| `{}` | `{}` | {flag} | {default} | {} |", it.name, it.variable(), it.meaning())
}

/// The reference for a terminal of 80 columns.
pub(crate) fn text() -> String {
    let mut paragraphs = Vec::new();
    for group in GROUPS {
        paragraphs.push(group.title.to_owned());
        let entry = |it: &Setting| format!("  {}\n{}\n{}", it.name, paragraph(&ways(it)), paragraph(it.meaning()));
        paragraphs.extend(group.settings.iter().map(entry));
    }
    paragraphs.push("Beside the settings".to_owned());
    let beside = |(names, meaning): &(&str, &str)| format!("{}\n{}", fill(names, indented("  ")), paragraph(meaning));
    paragraphs.extend(BESIDE.iter().map(beside));
    paragraphs.join("\n\n")
}

/// The ways to set a setting, and what holds if it is left out.
fn ways(setting: &Setting) -> String {
    let flag = setting.flag.map(|it| format!(", {it}")).unwrap_or_default();
    let default = setting.value().unwrap_or_else(|| setting.words().unwrap_or_default().to_owned());
    format!("[{}{flag}; default: {default}]", setting.variable())
}

fn indented(margin: &str) -> Options<'_> {
    Options::new(80).initial_indent(margin).subsequent_indent(margin)
}

fn paragraph(text: &str) -> String {
    fill(&text.replace('`', ""), indented("      "))
}
