//! `identity`: who may do what, beyond what routes declare.
//!
//! Answers come from the provider of the mount that the request came in by. Jobs come in by no mount
//! and get `unsupported`.

use std::sync::Arc;

use crate::auth::{Identity, Scope, User};
use crate::plugin::GuestState;
use crate::plugin::bindings::identity::{Error, Host, TokenInfo};
use crate::plugin::bindings::types;

/// Most ids or names looked up at once.
const MAX_ASKED: usize = 1000;

impl From<&User> for types::UserResult {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.clone(),
            name: user.name.clone(),
            project: user.project.clone(),
            roles: user.roles.clone(),
            extra: user.extra.clone(),
        }
    }
}

impl GuestState {
    fn scope(&self) -> Result<&Scope, Error> {
        self.call.scope.as_deref().ok_or(Error::Unsupported)
    }

    fn find(
        &self,
        asked: &[String],
        find: fn(&Scope, &[String]) -> Vec<Arc<User>>,
    ) -> Result<Vec<types::UserResult>, Error> {
        if asked.len() > MAX_ASKED {
            return Err(Error::Throttled);
        }
        Ok(find(self.scope()?, asked).iter().map(|user| (&**user).into()).collect())
    }
}

impl Host for GuestState {
    async fn allowed(&mut self, rule: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.scope().map(|scope| match &self.call.caller {
            Identity::User(user) => scope.rules.satisfied(&rule, user),
            Identity::Anonymous | Identity::Rejected(_) => false,
        }))
    }

    async fn lookup(&mut self, token: String) -> wasmtime::Result<Result<Option<TokenInfo>, Error>> {
        let scope = match self.scope() {
            Ok(scope) => scope,
            Err(error) => return Ok(Err(error)),
        };
        if !self.plugin.lookup_rate.take() {
            self.plugin.metrics.refused("lookup-rate");
            return Ok(Err(Error::Throttled));
        }
        let found = scope.provider.lookup(&token, self.call.local);
        Ok(Ok(found.map(|info| TokenInfo { user: (&*info.user).into(), expires: info.expires })))
    }

    async fn users_by_id(&mut self, ids: Vec<String>) -> wasmtime::Result<Result<Vec<types::UserResult>, Error>> {
        Ok(self.find(&ids, |scope, ids| scope.provider.users_by_id(ids)))
    }

    async fn users_by_name(&mut self, names: Vec<String>) -> wasmtime::Result<Result<Vec<types::UserResult>, Error>> {
        Ok(self.find(&names, |scope, names| scope.provider.users_by_name(names)))
    }
}
