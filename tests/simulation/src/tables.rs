//! The five tables in memory, with DynamoDB's conditional semantics: one item, one condition, all or nothing. Items are
//! plain JSON, exactly what the records serialise to.

use crate::expression::{Bindings, Refusal, holds, plain, typed, update};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_aws::store::writes::{Change, Write};
use tidegate_contract::tables::{TABLES, TableKey, TableSpec};

/// One item.
pub type Item = Map<String, Value>;
/// Partition and sort key.
type Key = (String, String);

/// Every table. `writes` counts accepted writes, so that checks run only when something changed.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<TableKey, BTreeMap<Key, Item>>,
    pub writes: u64,
    /// An item that was replaced by something other than its next version: a stale worker got past its fence.
    pub lost_update: Option<String>,
}

/// A write that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub refusal: Refusal,
    /// The item as it is, for `ReturnValuesOnConditionCheckFailure`.
    pub item: Option<Item>,
}

impl Tables {
    /// Reads one item.
    pub fn get(&self, table: TableKey, partition: &str, sort: &str) -> Option<&Item> {
        self.tables.get(&table)?.get(&(partition.to_owned(), sort.to_owned()))
    }

    /// Items of one partition, by sort key.
    pub fn query<'a>(&'a self, table: TableKey, partition: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a Item> {
        self.tables
            .get(&table)
            .into_iter()
            .flat_map(move |items| items.range((partition.to_owned(), prefix.to_owned())..))
            .take_while(move |((found, sort), _)| found == partition && sort.starts_with(prefix))
            .map(|(_, item)| item)
    }

    /// Every item of a table.
    pub fn all(&self, table: TableKey) -> impl Iterator<Item = &Item> {
        self.tables.get(&table).into_iter().flat_map(BTreeMap::values)
    }

    /// Carries out a write of the store: the very expressions that go to DynamoDB.
    pub fn write(&mut self, write: &Write) -> Result<(), Refused> {
        let bindings = Bindings {
            names: write.names.iter().map(|(alias, name)| ((*alias).to_owned(), json!(name))).collect(),
            values: write.values.iter().cloned().collect(),
        };
        let key_values = |key: &[(&'static str, String)]| -> Item {
            key.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
        };
        match &write.change {
            Change::Put(item) => {
                let item = item.as_object().cloned().unwrap_or_default();
                let key = key_of(spec(write.table), &item);
                let items = self.tables.entry(write.table).or_default();
                check(&write.condition, items.get(&key), &bindings)?;
                let version = |item: &Item| item.get("version").and_then(Value::as_u64);
                if let (Some(old), Some(new)) = (items.get(&key).and_then(version), version(&item))
                    && new != old + 1
                {
                    self.lost_update = Some(format!("{} {}: version {old} replaced by {new}", key.0, key.1));
                }
                items.insert(key, item);
            }
            Change::Update { key, expression } => {
                self.update(write.table, &key_values(key), expression, &write.condition, &bindings)?;
                return Ok(());
            }
            Change::Delete { key } => {
                let key = key_of(spec(write.table), &key_values(key));
                let items = self.tables.entry(write.table).or_default();
                check(&write.condition, items.get(&key), &bindings)?;
                items.remove(&key);
            }
        }
        self.writes += 1;
        Ok(())
    }

    /// Sets one attribute of an item, as an operator's tool does.
    pub fn set(&mut self, table: TableKey, partition: &str, sort: &str, attribute: &str, value: Value) {
        let key = (partition.to_owned(), sort.to_owned());
        if let Some(item) = self.tables.get_mut(&table).and_then(|items| items.get_mut(&key)) {
            item.insert(attribute.to_owned(), value);
            self.writes += 1;
        }
    }

    /// Updates an item in place if `condition` holds; creates it if it is not there, as DynamoDB does.
    fn update(
        &mut self,
        table: TableKey,
        key_item: &Item,
        expression: &str,
        condition: &str,
        bindings: &Bindings,
    ) -> Result<Item, Refused> {
        let key = key_of(spec(table), key_item);
        let items = self.tables.entry(table).or_default();
        let stored = items.get(&key);
        check(condition, stored, bindings)?;
        let mut item = stored.unwrap_or(key_item).clone();
        update(expression, &mut item, bindings).map_err(|refusal| Refused { refusal, item: None })?;
        items.insert(key, item.clone());
        self.writes += 1;
        Ok(item)
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
        let text = |name: &str| parameters.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let table = TABLES
            .iter()
            .find(|table| table.name == text("TableName"))
            .ok_or_else(|| ("DynamoDb.ResourceNotFoundException".to_owned(), text("TableName")))?;
        let typed_map = |name: &str| -> Result<Map<String, Value>, Refusal> {
            let members = parameters.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            members.into_iter().map(|(key, value)| Ok((key, plain(&value)?))).collect()
        };
        let key = typed_map("Key").map_err(invalid)?;
        match action {
            "getItem" => {
                let (partition, sort) = key_of(table, &key);
                let item = self.get(table.key, &partition, &sort);
                Ok(item.map_or_else(|| json!({}), |item| json!({ "Item": typed_members(item) })))
            }
            "updateItem" => {
                let bindings = Bindings {
                    names: parameters
                        .get("ExpressionAttributeNames")
                        .and_then(Value::as_object)
                        .cloned()
                        .unwrap_or_default(),
                    values: typed_map("ExpressionAttributeValues").map_err(invalid)?,
                };
                let item = self
                    .update(table.key, &key, &text("UpdateExpression"), &text("ConditionExpression"), &bindings)
                    .map_err(fail)?;
                let all_new = text("ReturnValues") == "ALL_NEW";
                Ok(if all_new { json!({ "Attributes": typed_members(&item) }) } else { json!({}) })
            }
            other => Err(("DynamoDb.DynamoDbException".to_owned(), format!("the simulation knows no {other}"))),
        }
    }
}

fn check(condition: &str, item: Option<&Item>, bindings: &Bindings) -> Result<(), Refused> {
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

fn key_of(spec: &TableSpec, item: &Item) -> Key {
    let part = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (part(spec.partition_key), spec.sort_key.map(part).unwrap_or_default())
}

/// A record as an item.
pub fn to_item<T: Serialize>(record: &T) -> Item {
    match serde_json::to_value(record) {
        Ok(Value::Object(item)) => item,
        _ => Map::new(),
    }
}

/// An item as a record.
pub fn from_item<T: DeserializeOwned>(item: &Item) -> Result<T, String> {
    serde_json::from_value(Value::Object(item.clone())).map_err(|error| error.to_string())
}
