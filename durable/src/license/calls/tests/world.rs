//! A pretended Postgres around an object.

use super::*;

/// A pretended Postgres and an object with its storage.
pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) rows: BTreeMap<String, String>,
    pub(super) now: i64,
    pub(super) calls: u128,
    pub(super) limits: Value,
    pub(super) status: &'static str,
    /// Postgres: the records, and what is counted.
    pub(super) records: BTreeMap<Uuid, (bool, i64)>,
    pub(super) requests: i64,
    pub(super) cost: i64,
    /// What the queue holds.
    pub(super) queue: Vec<String>,
}

impl World {
    pub(super) fn new(limits: Value) -> Self {
        Self {
            machine: Machine::new([1; 16]),
            rows: BTreeMap::new(),
            now: START,
            calls: 0,
            limits,
            status: "active",
            records: BTreeMap::new(),
            requests: 0,
            cost: 0,
            queue: Vec::new(),
        }
    }

    pub(super) fn found(&self, waiting: &[Uuid]) -> Box<RawValue> {
        let settled: Vec<_> = waiting
            .iter()
            .filter(|id| self.records.contains_key(id))
            .collect();
        let found = json!({
            "snapshot": { "license": {
                "id": LICENSE, "organization_id": VENDOR, "owner_id": OWNER, "status": self.status,
                "starts_at": "2026-01-01T00:00:00+00:00", "custom_limits": self.limits,
                "plan": { "code": "pro", "limits": { "max_ai_requests_per_month": 10, "max_concurrent_tasks": 5 } },
            } },
            "bindings": {}, "settled": settled,
            "usage": {
                "from": "2026-06-01T00:00:00+00:00", "until": "2026-07-01T00:00:00+00:00",
                "starts_at": "2026-01-01T00:00:00+00:00", "requests": self.requests, "cost_micro": self.cost,
                "keys": { KEY.to_string(): self.cost },
            },
        });
        RawValue::from_string(found.to_string()).unwrap()
    }

    pub(super) fn restart(&mut self) {
        self.machine = Machine::new([2; 16]);
        let rows: Vec<_> = self.rows.clone().into_iter().collect();
        self.machine.restore(&rows);
    }

    pub(super) fn apply(&mut self, effects: Effects) {
        self.rows.extend(effects.put);
        for key in &effects.delete {
            self.rows.remove(key);
        }
        if effects.free {
            self.rows.clear();
        }
    }

    pub(super) fn next_id(&mut self) -> Uuid {
        self.calls += 1;
        let seconds = u64::try_from(self.now / 1_000).unwrap();
        let stamp = Timestamp::from_unix(NoContext, seconds, 0);
        let id = Uuid::new_v7(stamp).as_u128();
        Uuid::from_u128((id & !0xffff_ffff) | self.calls)
    }

    pub(super) fn ask(
        &mut self,
        id: Uuid,
        cost_micro: i64,
        key_budget_micro: Option<i64>,
    ) -> CallAnswer {
        self.ask_for(id, cost_micro, key_budget_micro, None)
    }

    pub(super) fn ask_for(
        &mut self,
        id: Uuid,
        cost_micro: i64,
        key_budget_micro: Option<i64>,
        task_id: Option<Uuid>,
    ) -> CallAnswer {
        // Every other call is made with the key that is in the other's place.
        let is_rotated = id.as_u128().is_multiple_of(2);
        let call = CallMeta {
            id,
            user_id: OWNER,
            caller_key_id: Some(if is_rotated { ROTATED } else { KEY }),
            account_id: is_rotated.then_some(KEY),
            kind: "chat".into(),
            task_id,
            prompt_id: None,
            request_id: "r".into(),
        };
        let mut data = self.found(&[]);
        let mut token = None;
        for _ in 0..3 {
            let ask = ReserveCall {
                call: call.clone(),
                license_id: LICENSE,
                organization_id: Some(VENDOR),
                owner_id: None,
                cost_micro,
                key_budget_micro,
                patience_ms: 40_000,
                snapshot_ttl_s: 300,
                supply: token.map(|token| Supply::Data { token, data: &data }),
            };
            let (answer, effects) = self.machine.reserve_call(&ask, self.now).unwrap();
            self.apply(effects);
            match answer {
                CallAnswer::NeedSnapshot(wanted) => {
                    data = self.found(&wanted.waiting);
                    token = Some(wanted.token);
                }
                answer => return answer,
            }
        }
        panic!("asks for ever");
    }

    pub(super) fn reserve(&mut self) -> Result<Uuid, Limit> {
        let id = self.next_id();
        match self.ask(id, 0, None) {
            CallAnswer::Granted { .. } => Ok(id),
            CallAnswer::Full { limit, .. } => Err(limit),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn settle(&mut self, id: Uuid, settle: Settle) {
        let effects = self
            .machine
            .settle_calls(vec![SettleCall { id, settle }], self.now);
        self.apply(effects);
    }

    pub(super) fn ended(&self, counts: bool, cost: Option<i64>) -> Ended {
        Ended {
            at: self.now,
            completed: counts,
            counts,
            error_code: None,
            tokens_input: None,
            tokens_output: None,
            cost_micro: cost,
            model_id: None,
            pool_key_id: None,
        }
    }

    /// The consumer of records: each once, however often it comes. Whether it was news.
    pub(super) fn consume(&mut self, id: Uuid, counts: bool, cost: i64) -> bool {
        let fresh = !self.records.contains_key(&id);
        if fresh {
            self.records.insert(id, (counts, cost));
            self.requests += i64::from(counts);
            self.cost += cost;
        }
        fresh
    }

    pub(super) fn confirm(&mut self, id: Uuid, fresh: bool) {
        let (counts, cost_micro) = self.records[&id];
        let told = Confirmed {
            id,
            at: self.now,
            counts,
            cost_micro,
            account_id: Some(KEY),
            fresh,
        };
        let effects = self.machine.confirm_calls(&[told]);
        self.apply(effects);
    }

    pub(super) fn alarm(&mut self) {
        let (bodies, effects) = self.machine.take_calls(self.now);
        self.apply(effects);
        self.queue.extend(bodies);
    }

    pub(super) fn drain(&mut self) -> Vec<Record> {
        let bodies = std::mem::take(&mut self.queue);
        let records: Vec<Record> = bodies
            .iter()
            .map(|body| serde_json::from_str(body).unwrap())
            .collect();
        for record in &records {
            let cost = record.ended.cost_micro.unwrap_or(0);
            let fresh = self.consume(record.call.id, record.ended.counts, cost);
            self.confirm(record.call.id, fresh);
        }
        records
    }
}
