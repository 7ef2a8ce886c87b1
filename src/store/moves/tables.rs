//! What is moved: every table and column of the schema, so that later
//! migrations are moved as well without a change here.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use ring::digest::{Context, SHA256};
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::domain::write::State;
use crate::store::row::{self, Cells, Value, values};
use crate::store::session::Session;

/// Every column of every table of the ledger, by table and in order. The tables
/// of the moves themselves and of the migrations belong to a database, not to
/// the ledger.
pub(super) const COLUMNS: SqlStr = SqlStr::from_static(
    "SELECT m.name AS table_name, c.name AS column_name, c.type AS type, c.pk AS key \
     FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c \
     WHERE m.type = 'table' AND m.name NOT IN ('_sqlx_migrations', 'moves') \
     AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.rowid, c.cid",
);

/// Orders by state and kind; operations have no product.
const CENSUS: SqlStr = SqlStr::from_static(
    "SELECT state, CAST(CASE WHEN product_id = '' THEN 1 ELSE 0 END AS BIGINT) AS operation, COUNT(*) AS number \
     FROM orders GROUP BY 1, 2",
);

/// A table.
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<Column>,
    /// Its primary key.
    key: Column,
}

#[derive(Clone)]
struct Column {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

/// The tables of an answer to [`COLUMNS`].
pub(super) fn read(rows: &[impl Cells]) -> sqlx::Result<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    for found in rows {
        let name = row::text(found, "table_name")?;
        let column = Column {
            name: row::text(found, "column_name")?,
            kind: match row::text(found, "type")?.as_str() {
                "TEXT" => Kind::Text,
                "INTEGER" => Kind::Number,
                _ => return Err(row::unusable("type")),
            },
        };
        let is_key = row::number(found, "key")? > 0;
        match tables.last_mut().filter(|table| table.name == name) {
            Some(table) => {
                if is_key {
                    table.key = column.clone();
                }
                table.columns.push(column);
            }
            None => tables.push(Table {
                name,
                // The gateway's tables have theirs first.
                key: column.clone(),
                columns: vec![column],
            }),
        }
    }
    Ok(tables)
}

impl Table {
    fn names(&self) -> String {
        let quoted: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.name))
            .collect();
        quoted.join(", ")
    }

    /// All rows in the order of the key, which both databases compute alike:
    /// texts by their bytes.
    pub(super) fn select(&self, collation: &str) -> SqlStr {
        let by_bytes = if self.key.kind == Kind::Text {
            collation
        } else {
            ""
        };
        AssertSqlSafe(format!(
            "SELECT {} FROM \"{}\" ORDER BY \"{}\"{by_bytes}",
            self.names(),
            self.name,
            self.key.name
        ))
        .into_sql_str()
    }

    /// Locks these against reading and writing until the end of the
    /// transaction.
    pub(super) fn lock(tables: &[Self]) -> SqlStr {
        let names: Vec<String> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
        AssertSqlSafe(format!(
            "LOCK TABLE moves, {} IN ACCESS EXCLUSIVE MODE",
            names.join(", ")
        ))
        .into_sql_str()
    }

    /// Reads rows as [`write_row`] writes them.
    pub(super) fn copy_in(&self) -> String {
        format!("COPY \"{}\" ({}) FROM STDIN", self.name, self.names())
    }

    /// The values of a row.
    pub(super) fn values(&self, found: &impl Cells) -> sqlx::Result<Vec<Value>> {
        let value = |column: &Column| {
            Ok(match column.kind {
                Kind::Text => Value::Text(found.text(&column.name)?),
                Kind::Number => Value::Number(found.number(&column.name)?),
            })
        };
        self.columns.iter().map(value).collect()
    }
}

/// Adds a row in PostgreSQL's text format.
pub(super) fn write_row(buffer: &mut String, values: &[Value]) {
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            buffer.push('\t');
        }
        match value {
            Value::Text(None) | Value::Number(None) => buffer.push_str("\\N"),
            Value::Number(Some(number)) => buffer.push_str(&number.to_string()),
            Value::Text(Some(text)) => {
                for letter in text.chars() {
                    match letter {
                        '\\' => buffer.push_str("\\\\"),
                        '\t' => buffer.push_str("\\t"),
                        '\n' => buffer.push_str("\\n"),
                        '\r' => buffer.push_str("\\r"),
                        letter => buffer.push(letter),
                    }
                }
            }
        }
    }
    buffer.push('\n');
}

/// The digest of a table's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    hash: Vec<u8>,
}

/// Computes a [`Digest`]. Each value is written with its kind and its length,
/// so that no two lists of rows read the same.
pub(super) struct Digester {
    rows: u64,
    context: Context,
}

impl Digester {
    pub(super) fn new() -> Self {
        Self {
            rows: 0,
            context: Context::new(&SHA256),
        }
    }

    pub(super) fn add(&mut self, values: &[Value]) {
        self.rows += 1;
        for value in values {
            match value {
                Value::Text(None) | Value::Number(None) => self.context.update(b"-"),
                Value::Number(Some(number)) => {
                    self.context.update(b"n");
                    self.context.update(&number.to_be_bytes());
                }
                Value::Text(Some(text)) => {
                    self.context.update(b"t");
                    self.context.update(&(text.len() as u64).to_be_bytes());
                    self.context.update(text.as_bytes());
                }
            }
        }
    }

    pub(super) fn end(self) -> Digest {
        Digest {
            rows: self.rows,
            hash: self.context.finish().as_ref().to_vec(),
        }
    }
}

/// One checksum for all tables, for people to compare.
pub(super) fn checksum(tables: &[Table], digests: &[Digest]) -> String {
    let mut context = Context::new(&SHA256);
    for (table, digest) in tables.iter().zip(digests) {
        context.update(table.name.as_bytes());
        context.update(&digest.hash);
    }
    let digest = context.finish();
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Orders by state, and changes of SIMs.
pub(super) struct Census {
    pub(super) orders: Vec<(State, i64)>,
    pub(super) operations: i64,
}

/// Counts.
pub(super) async fn census<S: Session>(session: &mut S) -> sqlx::Result<Census> {
    let mut by_state = BTreeMap::new();
    let mut operations = 0;
    for found in session.rows(CENSUS, values![]).await? {
        let number = row::number(&found, "number")?;
        if row::number(&found, "operation")? == 1 {
            operations += number;
        } else {
            by_state.insert(row::state(&found)?, number);
        }
    }
    let orders = State::ALL.map(|state| (state, by_state.get(&state).copied().unwrap_or_default()));
    Ok(Census {
        orders: orders.to_vec(),
        operations,
    })
}

/// The digest of all rows of an answer.
pub(super) async fn digest<R: Cells>(
    table: &Table,
    mut rows: impl futures_util::Stream<Item = sqlx::Result<R>> + Unpin,
) -> sqlx::Result<Digest> {
    let mut digesting = Digester::new();
    while let Some(found) = rows.try_next().await? {
        digesting.add(&table.values(&found)?);
    }
    Ok(digesting.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(rows: &[&[Value]]) -> Digest {
        let mut digesting = Digester::new();
        rows.iter().for_each(|values| digesting.add(values));
        digesting.end()
    }

    #[test]
    fn rows_that_differ_have_different_digests() {
        let text = |text: &str| Value::from(text);
        let none = || Value::from(None::<&str>);
        let lists: [&[&[Value]]; 8] = [
            &[],
            &[&[]],
            &[&[text("ab"), text("c")]],
            &[&[text("a"), text("bc")]],
            &[&[text(""), text("abc")]],
            &[&[none(), text("abc")]],
            &[&[text("1")]],
            &[&[Value::from(1)]],
        ];
        for (number, list) in lists.iter().enumerate() {
            for other in &lists[number + 1..] {
                assert_ne!(digest_of(list), digest_of(other));
            }
        }
    }

    #[test]
    fn a_row_is_escaped_so_that_no_value_ends_it() {
        let mut buffer = String::new();
        let values = values!["a\tb\nc\\N\r", None::<&str>, -7, "\\."];
        write_row(&mut buffer, &values);
        assert_eq!(buffer, "a\\tb\\nc\\\\N\\r\t\\N\t-7\t\\\\.\n");
    }
}
