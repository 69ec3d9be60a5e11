//! One attempt to connect, shared by everybody who waits for it.

use crate::platform::postgres::Failure;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use std::cell::RefCell;

/// The outcome may be waited for by many, and its failure is told to all of them.
pub type Attempt<T> = Shared<LocalBoxFuture<'static, Result<T, Failure>>>;

/// The attempt that is under way or has succeeded.
pub struct Opening<T>(RefCell<Option<Attempt<T>>>);

impl<T> Default for Opening<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Clone> Opening<T> {
    /// Whether somebody began already.
    pub fn begun(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// The attempt that everybody shares; `connect` makes it if there is none. It goes on while somebody
    /// waits for it.
    pub fn attempt(
        &self,
        connect: impl FnOnce() -> LocalBoxFuture<'static, Result<T, Failure>>,
    ) -> Attempt<T> {
        self.0
            .borrow_mut()
            .get_or_insert_with(|| connect().shared())
            .clone()
    }

    /// What came of it. Whoever comes after a failure was told begins anew.
    pub async fn outcome(&self, attempt: Attempt<T>) -> Result<T, Failure> {
        let outcome = attempt.clone().await;
        if outcome.is_err() {
            self.0.borrow_mut().take_if(|same| same.ptr_eq(&attempt));
        }
        outcome
    }

    /// Lets go of it: what it opened is closed once nobody uses it any more.
    pub fn clear(&self) {
        self.0.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join;
    use std::cell::Cell;
    use std::rc::Rc;
    use tokio::task::yield_now;

    type Connection = Rc<()>;

    struct Server {
        connections: Cell<u32>,
        open: Connection,
        fails: Cell<u32>,
    }

    impl Server {
        fn new(fails: u32) -> Rc<Self> {
            Rc::new(Self {
                connections: Cell::default(),
                open: Rc::default(),
                fails: Cell::new(fails),
            })
        }

        fn attempt(self: &Rc<Self>, opening: &Opening<Connection>) -> Attempt<Connection> {
            let server = self.clone();
            opening.attempt(move || {
                async move {
                    server.connections.set(server.connections.get() + 1);
                    yield_now().await;
                    if server.fails.get() > 0 {
                        server.fails.set(server.fails.get() - 1);
                        return Err(Failure::Unavailable("away".into()));
                    }
                    Ok(server.open.clone())
                }
                .boxed_local()
            })
        }

        async fn connect(
            self: &Rc<Self>,
            opening: &Opening<Connection>,
        ) -> Result<Connection, Failure> {
            opening.outcome(self.attempt(opening)).await
        }

        /// How many connections somebody still holds.
        fn held(&self) -> usize {
            Rc::strong_count(&self.open) - 1
        }
    }

    #[tokio::test]
    async fn everybody_waits_for_the_same_connection() {
        let (server, opening) = (Server::new(0), Opening::default());
        let early = server.attempt(&opening).map(drop);
        let uses = join(server.connect(&opening), server.connect(&opening));
        let (_, (one, other)) = join(early, uses).await;
        assert!(one.is_ok() && other.is_ok());
        assert!(server.connect(&opening).await.is_ok());
        assert_eq!(server.connections.get(), 1);
        opening.clear();
        assert!(server.connect(&opening).await.is_ok());
        assert_eq!(server.connections.get(), 2);
    }

    #[tokio::test]
    async fn a_connection_that_nobody_came_to_use_is_let_go() {
        let (server, opening) = (Server::new(0), Opening::default());
        // The request ends before the server has answered.
        let early = server.attempt(&opening).map(drop);
        drop(opening);
        early.await;
        assert_eq!((server.connections.get(), server.held()), (1, 0));
        // And after it.
        let opening = Opening::default();
        server.attempt(&opening).map(drop).await;
        assert_eq!(server.held(), 1);
        drop(opening);
        assert_eq!((server.connections.get(), server.held()), (2, 0));
    }

    #[tokio::test]
    async fn an_early_failure_is_told_to_the_first_who_comes_and_the_next_tries_again() {
        let (server, opening) = (Server::new(1), Opening::default());
        server.attempt(&opening).map(drop).await;
        assert!(opening.begun());
        assert!(server.connect(&opening).await.is_err());
        assert_eq!(server.connections.get(), 1);
        assert!(server.connect(&opening).await.is_ok());
        assert_eq!(server.connections.get(), 2);
    }

    #[tokio::test]
    async fn a_late_listener_of_a_failure_does_not_end_the_next_attempt() {
        let (server, opening) = (Server::new(1), Opening::default());
        let failed = server.attempt(&opening);
        assert!(opening.outcome(failed.clone()).await.is_err());
        assert!(server.connect(&opening).await.is_ok());
        assert!(opening.outcome(failed).await.is_err());
        assert!(opening.begun());
    }
}
