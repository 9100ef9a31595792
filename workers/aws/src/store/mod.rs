//! The records in DynamoDB. Every write is conditional; a condition that fails is an answer (`Stale`, `Existed`, `Held`),
//! not an error. Reads that decide are consistent.

mod executions;
mod gates;
mod listing;
mod locks;
mod plans;
mod requests;
mod waves;
pub mod writes;

use crate::error::{ErrorClass, PortError};
use crate::ports::{Created, Written};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use tidegate_contract::tables::TableKey;

pub use listing::{Listed, Unreadable};
pub use requests::OperatorFlag;
use writes::{Change, Write};

type Item = HashMap<String, AttributeValue>;

/// Names of the deployed tables, by contract key.
#[derive(Debug, Clone)]
pub struct TableNames(BTreeMap<TableKey, String>);

impl TableNames {
    /// From the JSON of `TIDEGATE_TABLES`. Every table must be named.
    pub fn parse(json: &str) -> Result<Self, String> {
        let names: BTreeMap<TableKey, String> =
            serde_json::from_str(json).map_err(|error| format!("is not a JSON map of table keys to names: {error}"))?;
        let missing: Vec<&str> =
            TableKey::ALL.iter().filter(|key| !names.contains_key(key)).map(|key| key.as_str()).collect();
        if missing.is_empty() { Ok(Self(names)) } else { Err(format!("names no table for {}", missing.join(", "))) }
    }

    fn get(&self, key: TableKey) -> &str {
        // `parse` has checked that every key is there.
        self.0.get(&key).map_or("", String::as_str)
    }
}

/// All tables.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    tables: TableNames,
}

impl DynamoStore {
    /// The store behind `config`.
    pub fn new(config: &SdkConfig, tables: TableNames) -> Self {
        Self { client: Client::new(config), tables }
    }

    fn table(&self, key: TableKey) -> &str {
        self.tables.get(key)
    }

    /// Every item of one partition whose sort key begins with `prefix` (empty: all).
    async fn query(
        &self,
        table: TableKey,
        partition: (&str, &str),
        sort: Option<(&str, &str)>,
    ) -> Result<Vec<Item>, PortError> {
        let mut call = self
            .client
            .query()
            .table_name(self.table(table))
            .consistent_read(true)
            .expression_attribute_names("#pk", partition.0)
            .expression_attribute_values(":pk", text(partition.1));
        call = match sort {
            Some((name, prefix)) => call
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", name)
                .expression_attribute_values(":sk", text(prefix)),
            None => call.key_condition_expression("#pk = :pk"),
        };
        collect(call, usize::MAX).await
    }

    /// Carries a write out. A condition that failed is told with the item as it is, if there is one.
    async fn write(&self, write: Write) -> Result<Outcome, PortError> {
        let Write { table, change, condition, names, values } = write;
        let table = self.table(table).to_owned();
        let condition = Some(condition);
        let names = (!names.is_empty()).then(|| {
            names.into_iter().map(|(alias, name)| (alias.to_owned(), name.to_owned())).collect::<HashMap<_, _>>()
        });
        let mut attributes = Item::new();
        for (name, value) in values {
            attributes.insert(name, attribute(&value)?);
        }
        let values = (!attributes.is_empty()).then_some(attributes);
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        match change {
            Change::Put(item) => {
                let call = self.client.put_item().table_name(table).set_item(Some(to_item(&item)?));
                let call = call.set_condition_expression(condition).set_expression_attribute_names(names);
                let call = call.set_expression_attribute_values(values).return_values_on_condition_check_failure(old);
                match call.send().await {
                    Ok(_) => Ok(Outcome::Done),
                    Err(error) => match error.as_service_error() {
                        Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                            Ok(Outcome::Lost(lost.item().cloned()))
                        }
                        _ => Err(PortError::from_sdk("dynamodb:PutItem", error)),
                    },
                }
            }
            Change::Update { key, expression } => {
                let call = self.client.update_item().table_name(table).set_key(Some(key_item(key)));
                let call = call.update_expression(expression).set_condition_expression(condition);
                let call = call.set_expression_attribute_names(names).set_expression_attribute_values(values);
                outcome(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:UpdateItem", error)))
            }
            Change::Delete { key } => {
                let call = self.client.delete_item().table_name(table).set_key(Some(key_item(key)));
                let call = call.set_condition_expression(condition).set_expression_attribute_names(names);
                let call = call.set_expression_attribute_values(values);
                outcome(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:DeleteItem", error)))
            }
        }
    }

    async fn get(&self, table: TableKey, key: &[(&str, &str)]) -> Result<Option<Item>, PortError> {
        let mut call = self.client.get_item().table_name(self.table(table)).consistent_read(true);
        for (name, value) in key {
            call = call.key(*name, text(value));
        }
        let answer = call.send().await.map_err(|error| PortError::from_sdk("dynamodb:GetItem", error))?;
        Ok(answer.item)
    }
}

/// The first `limit` items of a query.
async fn collect(call: QueryFluentBuilder, limit: usize) -> Result<Vec<Item>, PortError> {
    let mut pages = call.into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        if items.len() == limit {
            break;
        }
        items.push(item.map_err(|error| PortError::from_sdk("dynamodb:Query", error))?);
    }
    Ok(items)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn attribute<T: Serialize>(value: &T) -> Result<AttributeValue, PortError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| PortError::unreadable("dynamodb:encode", error.to_string()))
}

fn to_item<T: Serialize>(value: &T) -> Result<Item, PortError> {
    serde_dynamo::to_item(value).map_err(|error| PortError::unreadable("dynamodb:encode", error.to_string()))
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, PortError> {
    serde_dynamo::from_item(item).map_err(|error| PortError::unreadable("dynamodb:decode", error.to_string()))
}

/// What came of a conditional write.
enum Outcome {
    Done,
    /// The condition failed; the item as it is, where DynamoDB was asked for it.
    Lost(Option<Item>),
}

impl Outcome {
    fn written(self) -> Written {
        match self {
            Self::Done => Written::Stored,
            Self::Lost(_) => Written::Stale,
        }
    }

    fn created(self) -> Created {
        match self {
            Self::Done => Created::New,
            Self::Lost(_) => Created::Existed,
        }
    }
}

/// A conditional write that lost is an answer.
fn outcome<T>(result: Result<T, PortError>) -> Result<Outcome, PortError> {
    match result {
        Ok(_) => Ok(Outcome::Done),
        Err(error) if error.class == ErrorClass::Conflict => Ok(Outcome::Lost(None)),
        Err(error) => Err(error),
    }
}

fn key_item(key: Vec<(&'static str, String)>) -> Item {
    key.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_must_be_named() {
        let problem = TableNames::parse(r#"{"executionHistory":"a"}"#).err().unwrap_or_default();
        assert!(problem.contains("executionWaves") && problem.contains("serverLocks"), "{problem}");
        assert!(TableNames::parse("{").is_err());
    }
}
