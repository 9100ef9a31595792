//! The tables in memory, with DynamoDB's conditional semantics: one item, one condition, all or nothing. Items are
//! plain JSON, exactly what the records serialise to. What an item reads as is kept beside it until it changes, so that a
//! table that is read a hundred times is parsed once.

use crate::expression::{Bindings, Refusal, holds, plain, typed, update};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::any::Any;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use tidegate_aws::store::writes::{Change, Write};
use tidegate_contract::tables::{TABLES, TableKey, TableSpec};

/// One item.
pub type Item = Map<String, Value>;
/// Partition and sort key.
pub type Key = (String, String);

#[derive(Debug, Default)]
struct Stored {
    item: Item,
    parsed: OnceCell<Box<dyn Any + Send>>,
}

impl Stored {
    fn record<T: DeserializeOwned + Clone + Send + 'static>(&self) -> Result<T, String> {
        if let Some(record) = self.parsed.get().and_then(|parsed| parsed.downcast_ref::<T>()) {
            return Ok(record.clone());
        }
        let record: T = from_item(&self.item)?;
        // Refused when it was read as another type before: no table of ours does that.
        let _ = self.parsed.set(Box::new(record.clone()));
        Ok(record)
    }
}

/// Every table.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<TableKey, BTreeMap<String, BTreeMap<String, Stored>>>,
    /// Accepted writes since they were last taken, so that checks look at what changed.
    changes: Vec<Written>,
    /// Who writes: an activity, the machine, an operator.
    pub writer: &'static str,
    /// An item that was replaced by something other than its next version: a stale worker got past its fence.
    pub lost_update: Option<String>,
}

/// A write that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub table: TableKey,
    pub key: Key,
    pub by: &'static str,
}

/// A write that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub refusal: Refusal,
    /// The item as it is, for `ReturnValuesOnConditionCheckFailure`.
    pub item: Option<Item>,
}

impl Tables {
    fn stored(&self, table: TableKey, partition: &str, sort: &str) -> Option<&Stored> {
        self.tables.get(&table)?.get(partition)?.get(sort)
    }

    fn stored_mut(&mut self, table: TableKey, key: &Key) -> Option<&mut Stored> {
        self.tables.get_mut(&table)?.get_mut(&key.0)?.get_mut(&key.1)
    }

    fn put(&mut self, table: TableKey, key: Key, item: Item) {
        let sorts = self.tables.entry(table).or_default().entry(key.0.clone()).or_default();
        sorts.insert(key.1.clone(), Stored { item, parsed: OnceCell::new() });
        self.note(table, key);
    }

    fn note(&mut self, table: TableKey, key: Key) {
        self.changes.push(Written { table, key, by: self.writer });
    }

    /// Reads one item.
    pub fn get(&self, table: TableKey, partition: &str, sort: &str) -> Option<&Item> {
        self.stored(table, partition, sort).map(|stored| &stored.item)
    }

    /// Reads one item as a record.
    pub fn record<T>(&self, table: TableKey, partition: &str, sort: &str) -> Result<Option<T>, String>
    where
        T: DeserializeOwned + Clone + Send + 'static,
    {
        self.stored(table, partition, sort).map(Stored::record).transpose()
    }

    fn range<'a>(
        &'a self,
        table: TableKey,
        partition: &str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Stored)> + use<'a> {
        self.tables
            .get(&table)
            .and_then(|partitions| partitions.get(partition))
            .into_iter()
            .flat_map(move |sorts| sorts.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)))
            .map(|(sort, stored)| (sort.as_str(), stored))
            .take_while(move |(sort, _)| sort.starts_with(prefix))
    }

    /// Items of one partition, by sort key.
    pub fn query<'a>(
        &'a self,
        table: TableKey,
        partition: &str,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Item> + use<'a> {
        self.range(table, partition, prefix).map(|(_, stored)| &stored.item)
    }

    /// Items of one partition with their sort keys.
    pub fn query_keyed<'a>(
        &'a self,
        table: TableKey,
        partition: &str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Item)> + use<'a> {
        self.range(table, partition, prefix).map(|(sort, stored)| (sort, &stored.item))
    }

    /// Items of one partition with their sort keys, each to be read as the record it is.
    pub fn query_records<'a>(
        &'a self,
        table: TableKey,
        partition: &str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, Row<'a>)> + use<'a> {
        self.range(table, partition, prefix).map(|(sort, stored)| (sort, Row(stored)))
    }

    /// Every item of a table.
    pub fn all(&self, table: TableKey) -> impl Iterator<Item = &Item> {
        self.tables
            .get(&table)
            .into_iter()
            .flat_map(BTreeMap::values)
            .flat_map(BTreeMap::values)
            .map(|stored| &stored.item)
    }

    /// What was written since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.changes)
    }

    /// Carries out a write of the store: the very expressions that go to DynamoDB.
    pub fn write(&mut self, write: Write) -> Result<(), Refused> {
        let bindings = Bindings {
            names: write.names.clone(),
            values: write.values.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value))).collect(),
        };
        match write.change {
            Change::Put(item) => {
                let Value::Object(item) = item else {
                    return Err(Refused { refusal: Refusal::Invalid("an item is a map".to_owned()), item: None });
                };
                let key = key_of(spec(write.table), |name| item.get(name).and_then(Value::as_str));
                let old = self.get(write.table, &key.0, &key.1);
                check(&write.condition, old, &bindings)?;
                let version = |item: &Item| item.get("version").and_then(Value::as_u64);
                if let (Some(old), Some(new)) = (old.and_then(version), version(&item))
                    && new != old + 1
                {
                    self.lost_update = Some(format!("{} {}: version {old} replaced by {new}", key.0, key.1));
                }
                self.put(write.table, key, item);
            }
            Change::Update { key, expression } => {
                let key = key_of(spec(write.table), |name| of_pairs(&key, name));
                self.update(write.table, key, &expression, &write.condition, &bindings)?;
            }
            Change::Delete { key } => {
                let key = key_of(spec(write.table), |name| of_pairs(&key, name));
                check(&write.condition, self.get(write.table, &key.0, &key.1), &bindings)?;
                if let Some(sorts) = self.tables.get_mut(&write.table).and_then(|table| table.get_mut(&key.0)) {
                    sorts.remove(&key.1);
                }
                self.note(write.table, key);
            }
        }
        Ok(())
    }

    /// Sets one attribute of an item, there or not, as an operator's tool does.
    pub fn set(&mut self, table: TableKey, key: Key, attribute: &str, value: Value) {
        let mut item = self.get(table, &key.0, &key.1).cloned().unwrap_or_else(|| key_item(spec(table), &key));
        item.insert(attribute.to_owned(), value);
        self.put(table, key, item);
    }

    /// Updates an item in place if `condition` holds; creates it if it is not there, as DynamoDB does.
    fn update(
        &mut self,
        table: TableKey,
        key: Key,
        expression: &str,
        condition: &str,
        bindings: &Bindings<'_>,
    ) -> Result<&Item, Refused> {
        let invalid = |refusal| Refused { refusal, item: None };
        check(condition, self.get(table, &key.0, &key.1), bindings)?;
        match self.stored_mut(table, &key) {
            Some(stored) => {
                update(expression, &mut stored.item, bindings).map_err(invalid)?;
                stored.parsed.take();
                self.note(table, key.clone());
            }
            None => {
                let mut item = key_item(spec(table), &key);
                update(expression, &mut item, bindings).map_err(invalid)?;
                self.put(table, key.clone(), item);
            }
        }
        self.get(table, &key.0, &key.1).ok_or_else(|| invalid(Refusal::Invalid("the item is gone".to_owned())))
    }

    /// A call of the state machine's SDK integration: its parameters in, its answer out, error names as AWS has them.
    pub fn integration(&mut self, action: &str, parameters: &Value) -> Result<Value, (String, String)> {
        let fail = |refused: Refused| match refused.refusal {
            Refusal::ConditionFailed => {
                ("DynamoDb.ConditionalCheckFailedException".to_owned(), "The conditional request failed".to_owned())
            }
            Refusal::Invalid(message) => ("DynamoDb.DynamoDbException".to_owned(), message),
        };
        let invalid = |refusal: Refusal| fail(Refused { refusal, item: None });
        let text = |name: &str| parameters.get(name).and_then(Value::as_str).unwrap_or_default();
        let members = |name: &str| parameters.get(name).and_then(Value::as_object).into_iter().flatten();
        let table = TABLES
            .iter()
            .find(|table| table.name == text("TableName"))
            .ok_or_else(|| ("DynamoDb.ResourceNotFoundException".to_owned(), text("TableName").to_owned()))?;
        let bindings = || -> Result<Bindings<'_>, Refusal> {
            let names = members("ExpressionAttributeNames")
                .filter_map(|(alias, name)| Some((alias.as_str(), name.as_str()?)))
                .collect();
            let values = members("ExpressionAttributeValues")
                .map(|(name, value)| Ok((name.as_str(), Cow::Owned(plain(value)?))))
                .collect::<Result<_, Refusal>>()?;
            Ok(Bindings { names, values })
        };
        if action == "query" {
            let bindings = bindings().map_err(invalid)?;
            return self.count(table, parameters, &bindings).map_err(invalid);
        }
        let key: Item = members("Key")
            .map(|(name, value)| Ok((name.clone(), plain(value)?)))
            .collect::<Result<_, Refusal>>()
            .map_err(invalid)?;
        let key = key_of(table, |name| key.get(name).and_then(Value::as_str));
        match action {
            "getItem" => {
                let item = self.get(table.key, &key.0, &key.1);
                Ok(item.map_or_else(|| json!({}), |item| json!({ "Item": typed_members(item) })))
            }
            "updateItem" => {
                let bindings = bindings().map_err(invalid)?;
                let item = self
                    .update(table.key, key, text("UpdateExpression"), text("ConditionExpression"), &bindings)
                    .map_err(fail)?;
                let all_new = text("ReturnValues") == "ALL_NEW";
                Ok(if all_new { json!({ "Attributes": typed_members(item) }) } else { json!({}) })
            }
            other => Err(("DynamoDb.DynamoDbException".to_owned(), format!("the simulation knows no {other}"))),
        }
    }
}

impl Tables {
    /// A query of one partition that counts: the only one our machines make.
    fn count(&self, table: &TableSpec, parameters: &Value, bindings: &Bindings<'_>) -> Result<Value, Refusal> {
        let text = |name: &str| parameters.get(name).and_then(Value::as_str).unwrap_or_default();
        let unknown = || Refusal::Invalid(format!("the simulation knows no such query: {parameters}"));
        let (name, operand) = text("KeyConditionExpression").split_once(" = ").ok_or_else(unknown)?;
        let partition = bindings.value(operand)?.as_str().ok_or_else(unknown)?;
        if text("Select") != "COUNT" || bindings.name(name) != table.partition_key {
            return Err(unknown());
        }
        let fits = |item: &Item| holds(text("FilterExpression"), Some(item), bindings);
        let fitting: Vec<bool> = self.query(table.key, partition, "").map(fits).collect::<Result<_, _>>()?;
        let count = fitting.iter().filter(|fits| **fits).count();
        Ok(json!({ "Count": count, "ScannedCount": fitting.len() }))
    }
}

/// An item that can be read as a record.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(&'a Stored);

impl Row<'_> {
    /// The record; an item of another kind is an error.
    pub fn record<T: DeserializeOwned + Clone + Send + 'static>(self) -> Result<T, String> {
        self.0.record()
    }
}

fn check(condition: &str, item: Option<&Item>, bindings: &Bindings<'_>) -> Result<(), Refused> {
    let fits =
        condition.is_empty() || holds(condition, item, bindings).map_err(|refusal| Refused { refusal, item: None })?;
    if fits { Ok(()) } else { Err(Refused { refusal: Refusal::ConditionFailed, item: item.cloned() }) }
}

fn typed_members(item: &Item) -> Value {
    Value::Object(item.iter().map(|(key, value)| (key.clone(), typed(value))).collect())
}

fn spec(table: TableKey) -> &'static TableSpec {
    // TABLES holds every key; a test of the contract says so.
    TABLES.iter().find(|spec| spec.key == table).unwrap_or(&TABLES[0])
}

fn key_of<'v>(spec: &TableSpec, part: impl Fn(&str) -> Option<&'v str>) -> Key {
    let part = |name: &str| part(name).unwrap_or_default().to_owned();
    (part(spec.partition_key), spec.sort_key.map(part).unwrap_or_default())
}

fn key_item(spec: &TableSpec, key: &Key) -> Item {
    let mut item = Item::from_iter([(spec.partition_key.to_owned(), json!(key.0))]);
    if let Some(sort) = spec.sort_key {
        item.insert(sort.to_owned(), json!(key.1));
    }
    item
}

fn of_pairs<'v>(pairs: &'v [(&'static str, String)], name: &str) -> Option<&'v str> {
    pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// An item as a record.
pub fn from_item<T: DeserializeOwned>(item: &Item) -> Result<T, String> {
    T::deserialize(item).map_err(|error| error.to_string())
}
