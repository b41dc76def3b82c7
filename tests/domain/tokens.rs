//! Tokens: names and bounds, expiry and revocation at apply, and whose idempotency keys are whose.

use raft3d::domain::command::{Command, Op};
use raft3d::domain::events::json::EventView;
use raft3d::domain::outcome::{Outcome, Refusal, Reply};
use raft3d::domain::tokens::{AccessRole, Actor, NAME_LEN_MAX, NewToken, TOKENS_MAX, Token};
use serde_json::json;

use crate::support::{
    Farm, at, command, keyed, new_printer, new_token, new_token_until, snapshot, token_digest,
};

fn created(outcome: Result<Reply, Refusal>) -> Token {
    match outcome {
        Ok(Reply::Token(token)) => token,
        other => panic!("no token: {other:?}"),
    }
}

fn by(actor: Actor, command: Command) -> Command {
    Command {
        actor: Some(actor),
        ..command
    }
}

#[test]
fn a_token_is_found_by_its_digest_until_it_is_revoked() {
    let mut farm = Farm::new();
    let first = created(farm.run(new_token("alice", 1)));
    let second = created(farm.run(new_token("bob", 2)));
    assert_eq!((first.id, second.id), (1, 2));
    assert_eq!(first.role, AccessRole::Viewer);
    let tokens = farm.state.tokens();
    assert_eq!(tokens.find(&token_digest(1)), Some(&first));
    assert_eq!(tokens.find(&token_digest(2)), Some(&second));
    assert_eq!(tokens.find(&token_digest(3)), None);

    let revoked = farm.run(Op::RevokeToken(2));
    assert_eq!(revoked, Ok(Reply::TokenRevoked(second)));
    assert_eq!(farm.state.tokens().find(&token_digest(2)), None);
    assert_eq!(
        farm.refused(Op::RevokeToken(2)),
        Refusal::TokenNotFound { id: 2 }
    );
    assert_eq!(
        created(farm.run(new_token("bob", 4))).id,
        3,
        "the name is free again, the id is not"
    );
}

#[test]
fn names_and_secrets_are_unique() {
    let mut farm = Farm::new();
    created(farm.run(new_token("alice", 1)));
    let name = "alice".to_owned();
    assert_eq!(
        farm.refused(new_token("alice", 2)),
        Refusal::TokenNameTaken { name }
    );
    assert_eq!(farm.refused(new_token("bob", 1)), Refusal::TokenSecretTaken);
}

#[test]
fn names_are_short_and_plain() {
    let mut farm = Farm::new();
    let long = "n".repeat(NAME_LEN_MAX);
    for (digest, name) in ["a", "A-z_0.9@lab", &long].into_iter().enumerate() {
        created(farm.run(new_token(name, u8::try_from(digest).unwrap())));
    }
    for name in ["", &format!("{long}n"), "a b", "é", "a/b", "a\n"] {
        let refusal = farm.refused(new_token(name, 99));
        assert!(
            matches!(&refusal, Refusal::InvalidField { pointer, .. } if pointer == "/name"),
            "{name:?}: {refusal:?}"
        );
    }
}

#[test]
fn there_are_only_so_many() {
    let mut farm = Farm::new();
    for n in 0..TOKENS_MAX {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_le_bytes());
        let new = NewToken {
            name: format!("t{n}"),
            role: AccessRole::Viewer,
            digest: raft3d::domain::tokens::TokenDigest(digest),
            expires_at: None,
        };
        created(farm.run(Op::CreateToken(new)));
    }
    let max = TOKENS_MAX as u64;
    assert_eq!(
        farm.refused(new_token("one-more", 255)),
        Refusal::TooManyTokens { max }
    );
    assert!(farm.run(Op::RevokeToken(1)).is_ok());
    created(farm.run(new_token("one-more", 255)));
}

#[test]
fn what_the_holder_of_a_gone_token_submits_is_refused_at_apply() {
    let mut farm = Farm::new();
    let token = created(farm.run(new_token("alice", 1)));
    let alice = Actor::Token(token.id);
    let create = |now| by(alice, command(now, new_printer(None)));
    assert!(farm.apply(&create(2_000)).result.is_ok());
    assert!(farm.run(Op::RevokeToken(token.id)).is_ok());
    assert_eq!(
        farm.apply(&create(3_000)).result,
        Err(Refusal::InvalidToken)
    );
    assert_eq!(farm.state.printer_count(), 1);
    let by_admin = by(Actor::AdminFile, command(3_000, new_printer(None)));
    assert!(farm.apply(&by_admin).result.is_ok());
}

#[test]
fn expiry_goes_by_log_time() {
    let mut farm = Farm::new();
    let token = created(farm.run(new_token_until("alice", 1, 5_000)));
    let alice = Actor::Token(token.id);
    let create = |now| by(alice, command(now, new_printer(None)));
    assert!(farm.apply(&create(4_999)).result.is_ok());
    assert!(farm.apply(&command(5_000, Op::Barrier)).result.is_ok());
    // Another node's command moves log time on; a late clock does not turn it back.
    assert!(
        farm.apply(&command(5_000, new_printer(None)))
            .result
            .is_ok()
    );
    let late = farm.apply(&create(4_000));
    assert_eq!(late.result, Err(Refusal::InvalidToken));
    farm.now = 5_000;
    let refusal = farm.refused(new_token_until("bob", 2, 5_000));
    assert!(
        matches!(&refusal, Refusal::InvalidField { pointer, .. } if pointer == "/expires_at"),
        "{refusal:?}"
    );
}

#[test]
fn who_created_a_token_is_noted() {
    let mut farm = Farm::new();
    let first = by(Actor::AdminFile, command(1_000, new_token("alice", 1)));
    let first = created(farm.apply(&first).result);
    assert_eq!(first.created_by.as_deref(), Some("admin token file"));
    let second = by(Actor::Token(first.id), command(1_000, new_token("bob", 2)));
    let second = created(farm.apply(&second).result);
    assert_eq!(second.created_by.as_deref(), Some("alice"));
    assert_eq!(created(farm.run(new_token("carol", 3))).created_by, None);
}

#[test]
fn the_last_use_only_moves_on_and_never_beyond_the_log() {
    let mut farm = Farm::new();
    let id = created(farm.run(new_token("alice", 1))).id;
    let mut note = |now: u64, used: u64| {
        farm.now = now;
        let uses = vec![(id, at(used)), (id + 7, at(used))];
        assert_eq!(farm.run(Op::NoteTokenUses(uses)), Ok(Reply::TokenUsesNoted));
        farm.state.tokens().get(id).unwrap().last_used_at
    };
    assert_eq!(note(2_000, 1_500), Some(at(1_500)));
    assert_eq!(note(2_000, 1_400), Some(at(1_500)));
    assert_eq!(note(2_000, 9_000), Some(at(2_000)));
}

#[test]
fn each_caller_has_idempotency_keys_of_his_own() {
    let mut farm = Farm::new();
    let alice = Actor::Token(created(farm.run(new_token("alice", 1))).id);
    let bob = Actor::Token(created(farm.run(new_token("bob", 2))).id);
    let create = || keyed(2_000, "k", 1, new_printer(None));
    let callers = [None, Some(alice), Some(bob), Some(Actor::AdminFile)];
    let answers: Vec<Outcome> = callers
        .map(|actor| {
            let outcome = farm.apply(&Command { actor, ..create() });
            assert!(!outcome.replayed, "{actor:?}");
            outcome
        })
        .into();
    assert_eq!(farm.state.printer_count(), callers.len());
    for (actor, first) in callers.into_iter().zip(answers) {
        let again = farm.apply(&Command { actor, ..create() });
        assert!(again.replayed, "{actor:?}");
        assert_eq!(again.result, first.result);
    }
    assert!(farm.run(Op::RevokeToken(2)).is_ok());
    let again = farm.apply(&by(bob, create()));
    assert_eq!(
        again.result,
        Err(Refusal::InvalidToken),
        "not even an answer of before"
    );
}

#[test]
fn tokens_are_in_the_snapshot() {
    let mut farm = Farm::new();
    created(farm.run(new_token("alice", 1)));
    created(farm.run(new_token_until("bob", 2, 9_000)));
    assert!(farm.run(Op::RevokeToken(1)).is_ok());
    let bytes = snapshot(&farm.state);
    let mut read = Farm::new();
    read.state =
        raft3d::domain::state::State::read_snapshot(&mut bytes.as_slice()).expect("a snapshot");
    assert_eq!(read.state.tokens(), farm.state.tokens());
    assert_eq!(created(read.run(new_token("carol", 3))).id, 3);
}

/// What is kept for a long time and read by many holds nothing that helps to forge a token.
#[test]
fn events_tell_of_tokens_and_who_did_what_without_a_secret() {
    let mut farm = Farm::new();
    created(farm.run(new_token("alice", 7)));
    let alice = Actor::Token(1);
    let outcome = farm.apply(&by(alice, command(1, new_printer(None))));
    outcome.result.unwrap();
    let used = Op::NoteTokenUses(vec![(1, at(1_000))]);
    farm.run(used).unwrap();
    // Its own end is still the holder's doing.
    let outcome = farm.apply(&by(alice, command(1, Op::RevokeToken(1))));
    outcome.result.unwrap();
    let outcome = farm.apply(&by(Actor::AdminFile, command(1, new_printer(None))));
    outcome.result.unwrap();

    let shown: Vec<_> = (farm.state.events().iter())
        .map(|event| serde_json::to_value(EventView::from(event.as_ref())).unwrap())
        .collect();
    let told: Vec<_> = shown
        .iter()
        .map(|event| json!([event["index"], event["kind"], event["actor"]]))
        .collect();
    let alice = json!({"token": 1, "name": "alice"});
    let file = json!({"token": null, "name": "admin token file"});
    assert_eq!(
        json!(told),
        json!([
            [1, "token.created", null],
            [2, "printer.created", alice],
            [4, "token.revoked", alice],
            [5, "printer.created", file],
        ])
    );
    let facts = json!({
        "id": 1, "name": "alice", "role": "viewer", "created_at": "1970-01-01T00:00:01.000Z",
        "expires_at": null, "created_by": null,
    });
    assert_eq!(shown[0]["changes"][0]["after"], facts);
    assert_eq!(shown[2]["changes"][0]["before"], facts);
    for event in farm.state.events().iter() {
        let bytes = postcard::to_allocvec(event.as_ref()).unwrap();
        let digest = token_digest(7).0;
        let has_digest = bytes.windows(digest.len()).any(|bytes| bytes == digest);
        assert!(!has_digest, "{event:?}");
    }
}
