//! Records that contain themselves in encoded form. Other recursive records do not compile.

use super::in_memory::InMemory;
use vgi_rpc_protocol::prelude::*;

#[derive(Debug, PartialEq, Record)]
pub struct Chain {
    n: i64,
    #[arrow(type = DataType::Binary)]
    next: Option<Box<Chain>>,
}

#[service(name = "test.Chains.v1")]
trait Chains {
    fn last(&self, chain: Chain) -> Option<Chain>;
}

impl Chains for () {
    fn last(&self, chain: Chain) -> Option<Chain> {
        match chain.next {
            Some(next) => self.last(*next),
            None => Some(chain),
        }
    }
}

#[test]
fn a_record_may_contain_itself_encoded() {
    let mut client = ChainsClient::new(InMemory::new(ChainsProtocol::serve(())));
    let chain = (1..5).fold(Chain { n: 0, next: None }, |next, n| Chain { n, next: Some(Box::new(next)) });
    assert_eq!(client.last(chain).unwrap(), Some(Chain { n: 0, next: None }));
}

#[derive(Debug, Record)]
struct Misdeclared {
    #[arrow(type = DataType::Int64)]
    next: Option<Box<Misdeclared>>,
}

#[test]
fn a_declared_type_that_holds_no_record_is_a_problem() {
    let problem = Misdeclared::field_problem().unwrap();
    assert!(problem.starts_with("\"next\" is declared as Int64, which does not hold"), "{problem}");
}
