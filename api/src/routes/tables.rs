use std::sync::Arc;

use super::caller::LoggedIn;
use super::evenly::evenly;
use super::incarnation::check_position;
use super::parameters::{Parameters, id_of_path};
use super::position::{Freshness, at_position, page_answer};
use super::reads::{Asked, Shown, recorded};
use crate::Hospital;
use crate::cache::{Answer, Question};
use crate::problem::Problem;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{PhoneRegion, read_phone};
use hims_domain::{ID_RULE, read_id};
use hims_event_store::Position;
use hims_event_store::chain::hex;
use hims_projections::query::{self, Comparison, Cursor, Emergencies, Filter, Shape, Wanted};
use hims_projections::{Column, Kind, TABLES, Table};
use uuid::Uuid;

/// How many rows a page has by default, and at most.
const LIMIT: (usize, usize) = (50, 500);

/// Answers a page of a read table.
pub(super) async fn page_of(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    name: web::Path<String>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let answer = page(&request, &hospital, &name, &logged_in);
    Box::pin(recorded_if_hidden((&name, None), (&request, &hospital, &logged_in), answer)).await
}

async fn page(
    request: &HttpRequest,
    hospital: &Hospital,
    name: &str,
    logged_in: &LoggedIn,
) -> Result<(HttpResponse, Shown), Problem> {
    let table = table(name, logged_in)?;
    let wanted = wanted(table, Parameters::parse(request)?, hospital)?;
    may_select_by(table, &wanted, logged_in)?;
    let freshness = Freshness::parse(request)?.at_least(wanted.cursor.as_ref().map_or(0, Cursor::position));
    freshness.wait(hospital).await?;
    let who = logged_in.identity();
    let shape = hospital.shape();
    let read = async || {
        let page = async |db: &mut _| query::page(db, table, shape, &wanted, &who).await;
        let page = hospital.readers.read_at(table.name, freshness.minimum(), page).await?;
        let answer = Answer { rows: page.items, next: page.next, version: None };
        Ok::<_, Problem>((answer, page.position, page.emergencies))
    };
    let (answer, position, emergencies) = answer(request, hospital, table, &freshness, read).await?;
    let next = answer.next.as_deref().and_then(Cursor::parse).map(|it| signed(&it.at(position).encode(), hospital));
    let shown = Shown::of_rows(table, &answer.rows)?.under(emergencies);
    Ok((page_answer(hospital, &answer.rows, next.as_deref(), position), shown))
}

/// Answers from what is remembered, or else by reading the table. Tells the position that the answer shows, and the
/// accesses in an emergency that the caller had, if the table was read.
async fn answer(
    request: &HttpRequest,
    hospital: &Hospital,
    table: &'static Table,
    freshness: &Freshness,
    read: impl AsyncFnOnce() -> Result<(Answer, Position, Option<Emergencies>), Problem>,
) -> Result<(Arc<Answer>, Position, Option<Emergencies>), Problem> {
    let (answer, position, emergencies) = match question(request, hospital, table, freshness) {
        Some(question) => {
            let read = async || read().await.map(|(answer, position, _)| (answer, position));
            let (answer, position) = hospital.cache.answer(question, read).await?;
            (answer, position, None)
        }
        None => read().await.map(|(answer, position, emergencies)| (Arc::new(answer), position, emergencies))?,
    };
    freshness.check(position)?;
    Ok((answer, position, emergencies))
}

/// What is asked of a catalogue, if the answer may come from what is remembered. A client that wants the table itself to
/// be read says `Cache-Control: no-cache`.
fn question<'r>(
    request: &'r HttpRequest,
    hospital: &Hospital,
    table: &'static Table,
    freshness: &Freshness,
) -> Option<Question<'r>> {
    let refuses = |header: &HeaderValue| header.to_str().is_ok_and(|it| it.contains("no-cache"));
    if !table.is_catalogue
        || hospital.shape() != Shape::Declared
        || request.headers().get_all(CACHE_CONTROL).any(refuses)
    {
        return None;
    }
    let position = *hospital.runner.as_ref()?.position.borrow();
    let words = request.uri().path_and_query()?.as_str();
    Some(Question { table, words, minimum: freshness.minimum(), position })
}

/// Answers one row of a read table.
pub(super) async fn row_of(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    path: web::Path<(String, String)>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let answer = row(&request, &hospital, &path, &logged_in);
    Box::pin(recorded_if_hidden((&path.0, read_id(&path.1)), (&request, &hospital, &logged_in), answer)).await
}

/// The read table with the name that a route has.
fn table_named(route: &str) -> Option<&'static Table> {
    let name = route.replace('-', "_");
    TABLES.iter().find(|table| table.name == name && !route.contains('_'))
}

/// Waits for an answer. If the table may have rows that the caller may not read, the answer takes an even time, and what
/// it shows is recorded.
async fn recorded_if_hidden(
    (name, id): (&str, Option<Uuid>),
    (request, hospital, logged_in): (&HttpRequest, &Hospital, &LoggedIn),
    answer: impl Future<Output = Result<(HttpResponse, Shown), Problem>>,
) -> Result<HttpResponse, Problem> {
    let table = match table_named(name) {
        Some(table) if !table.is_catalogue => table,
        Some(_) => return Ok(answer.await?.0),
        None => return evenly(logged_in, async { Ok(answer.await?.0) }).await,
    };
    let asked = Asked::of_table(table, request.query_string()).record(id);
    evenly(logged_in, Box::pin(recorded(hospital, logged_in, asked, answer))).await
}

async fn row(
    request: &HttpRequest,
    hospital: &Hospital,
    (name, id): &(String, String),
    logged_in: &LoggedIn,
) -> Result<(HttpResponse, Shown), Problem> {
    Problem::unless_bare(request)?;
    let table = table(name, logged_in)?;
    let id = id_of_path(id)?;
    let freshness = Freshness::parse(request)?;
    freshness.wait(hospital).await?;
    let who = logged_in.identity();
    let shape = hospital.shape();
    let read = async || {
        let found = async |db: &mut _| query::find(db, table, shape, id, &who).await;
        let found = hospital.readers.read_at(table.name, freshness.minimum(), found).await?;
        // Of a table that is behind, nobody is told that there is no such row.
        freshness.check(found.position)?;
        let (row, version) = found.row.ok_or_else(Problem::not_found)?;
        let answer = Answer { rows: vec![row], next: None, version: Some(version) };
        Ok::<_, Problem>((answer, found.position, Some(found.emergencies)))
    };
    let (answer, position, emergencies) = answer(request, hospital, table, &freshness, read).await?;
    let mut found = HttpResponse::Ok();
    at_position(&mut found, hospital, position).insert_header((CONTENT_TYPE, "application/json"));
    if let Some(version) = answer.version {
        found.insert_header((ETAG, format!("\"{version}\"")));
    }
    let shown = Shown::of_rows(table, &answer.rows)?.under(emergencies);
    Ok((found.body(answer.rows.concat()), shown))
}

/// The read table behind a route, if the caller may ask for the table.
fn table(name: &str, logged_in: &LoggedIn) -> Result<&'static Table, Problem> {
    logged_in.may_read()?;
    let table = table_named(name).ok_or_else(Problem::not_found)?;
    if logged_in.may_ask(table) {
        Ok(table)
    } else {
        Err(Problem::forbidden("the caller's roles do not include reading this table"))
    }
}

/// Reads from the query parameters which page is wanted.
fn wanted(table: &'static Table, parameters: Parameters, hospital: &Hospital) -> Result<Wanted, Problem> {
    let mut wanted = Wanted { limit: LIMIT.0, ..Wanted::default() };
    let other_page = || Problem::parameter("cursor", "must be the `next` of a page with the same parameters");
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => {
                let limit = value.parse().ok().filter(|it| (1..=LIMIT.1).contains(it));
                wanted.limit = limit
                    .ok_or_else(|| Problem::parameter("limit", format!("must be a number from 1 to {}", LIMIT.1)))?;
            }
            "cursor" => {
                let (text, incarnation) = unsigned(&value, hospital).ok_or_else(other_page)?;
                let cursor = Cursor::parse(text).ok_or_else(other_page)?;
                check_position(hospital, incarnation, cursor.position())?;
                wanted.cursor = Some(cursor);
            }
            "sort" => {
                let (column, descending) = value.strip_prefix('-').map_or((value.as_str(), false), |it| (it, true));
                let column = table.column(column).filter(|it| it.indexed);
                wanted.sort = Some(column.ok_or_else(|| Problem::parameter("sort", sortable(table)))?);
                wanted.descending = descending;
            }
            "q" if table.search.is_some() => {
                if value.trim().is_empty() || value.len() > 200 || value.contains('\0') {
                    return Err(Problem::parameter("q", "must be a text of 1 to 200 characters"));
                }
                wanted.search = Some(value);
            }
            _ => wanted.filters.push(filter(table, &name, &value, hospital.executor.phone_region())?),
        }
    }
    if wanted.goes_on(table) { Ok(wanted) } else { Err(other_page()) }
}

/// A cursor with the server's mark. Nobody can make a cursor up that begins beside a guessed value, such as an e-mail
/// address, and learn from the time of the answer whether somebody is there whom they may not read. The mark also tells
/// from which incarnation of the log the cursor is.
fn signed(cursor: &str, hospital: &Hospital) -> String {
    format!("{cursor}.{}", mark(cursor, hospital.log.incarnation(), hospital))
}

/// The cursor without the mark, and the incarnation that it is from; `None` if this server's hospital did not give it
/// out.
fn unsigned<'a>(text: &'a str, hospital: &Hospital) -> Option<(&'a str, Uuid)> {
    let (cursor, given) = text.split_once('.')?;
    let incarnations = hospital.log.restores.iter().rev().map(|it| it.incarnation).chain([Uuid::nil()]);
    let mut incarnations = incarnations.map(|it| (cursor, it));
    incarnations.find(|(cursor, incarnation)| given == mark(cursor, *incarnation, hospital))
}

fn mark(cursor: &str, incarnation: Uuid, hospital: &Hospital) -> String {
    let marked = [cursor.as_bytes(), incarnation.as_bytes()].concat();
    let mark = hospital.store.vault().blind("cursors", &marked);
    hex(&mark[..mark.len().min(16)])
}

/// Refuses to filter or sort by columns that the caller does not read of every row: which rows are found, and in which
/// order, would tell the values.
fn may_select_by(table: &Table, wanted: &Wanted, logged_in: &LoggedIn) -> Result<(), Problem> {
    let mut columns = wanted.filters.iter().map(|filter| filter.column).chain(wanted.sort);
    let refused =
        |column: &&Column| table.narrowed(column.name).is_some_and(|narrowed| !logged_in.reads_any(narrowed.readers));
    match columns.find(refused) {
        Some(column) => Err(Problem::forbidden(format!(
            "the caller's roles do not include reading {} of other people, so they cannot filter or sort by it",
            column.name
        ))),
        None => Ok(()),
    }
}

fn sortable(table: &Table) -> String {
    let names: Vec<_> = table.visible().filter(|column| column.indexed).map(|column| column.name).collect();
    format!("must be one of {}; put - in front for descending order", names.join(", "))
}

fn filterable(table: &Table) -> String {
    let names = |is: fn(&Column) -> bool| {
        let columns = table.visible().filter(|column| is(column)).map(|column| column.name);
        columns.collect::<Vec<_>>().join(", ")
    };
    let (equal, range) = (names(|column| column.indexed), names(|column| column.kind.has_range()));
    let ranges = if range.is_empty() { range } else { format!("; with _from or _to behind the name by {range}") };
    format!("is not a parameter of this table, which can be filtered by {equal}{ranges}")
}

/// Reads a filter: `column` asks for equality on an indexed column, `column_from` and `column_to` ask for a range on a
/// column of dates or times. A phone number is read as the commands read it.
fn filter(table: &'static Table, name: &str, text: &str, region: PhoneRegion) -> Result<Filter, Problem> {
    let range = |suffix, comparison| {
        let column = table.column(name.strip_suffix(suffix)?).filter(|it| it.kind.has_range())?;
        Some((column, comparison))
    };
    let exact = || Some((table.column(name).filter(|it| it.indexed)?, Comparison::Equal));
    let found = exact().or_else(|| range("_from", Comparison::From)).or_else(|| range("_to", Comparison::To));
    let (column, comparison) = found.ok_or_else(|| Problem::parameter(name, filterable(table)))?;
    if let Some(codes) = column.codes.map(|codes| codes()).filter(|it| !it.contains(&text)) {
        return Err(Problem::parameter(name, format!("must be one of {}", codes.join(", "))));
    }
    if column.phone {
        // In a query, a plus that is not written as %2B means a space.
        let text = text.strip_prefix(' ').map_or_else(|| text.to_owned(), |it| format!("+{it}"));
        let phone = read_phone(&text, region).map_err(|rule| Problem::parameter(name, rule))?;
        return Ok(Filter { column, comparison, value: phone.as_str().to_owned() });
    }
    let value = query::bound(column.kind, comparison, text).ok_or_else(|| {
        let rule = match column.kind {
            Kind::Uuid => format!("must be {ID_RULE}"),
            kind => format!("must be a value of type {}", kind.sql()),
        };
        Problem::parameter(name, rule)
    })?;
    Ok(Filter { column, comparison, value })
}
