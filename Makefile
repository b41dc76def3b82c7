# Commands for people. What is longer than a line or two is in scripts/.

# Of the built program as users run it; the name of one of its tests follows.
TIMES = cargo test --release --locked --test cluster_times -- --ignored --nocapture --exact

.PHONY: setup build demo tour test torture failover elections soak events schemathesis check fix docs deb bench clean

setup:     ## install what is missing on a Debian machine, for building and testing
	@scripts/setup.sh build deb test

build:     ## build the program: target/release/raft3d
	@scripts/setup.sh build
	cargo build --release

demo: build    ## run three nodes on this machine until Ctrl-C; ARGS="--dir DIR ..." is passed on
	target/release/raft3d demo $(ARGS)

tour: build    ## watch a cluster lose its leader, and nothing else
	target/release/raft3d demo --tour $(ARGS)

test: setup    ## run everything that must hold
	scripts/test.sh

torture: setup ## attack real clusters for MINUTES (30), or RUNS times; report in target/torture/report.txt
	RAFT3D_TORTURE_MINUTES=$(or $(MINUTES),30) RAFT3D_TORTURE_RUNS=$(or $(RUNS),1000000) \
		cargo test --locked --test cluster_faults -- --exact torture --ignored --nocapture

failover: setup ## measure TRIALS (50) of each kind of failover; report in target/failover/report.txt
	RAFT3D_TRIALS=$(or $(TRIALS),50) $(TIMES) measure_failover

elections: setup ## leave a cluster alone, then under load, for MINUTES (10) each: no leader may change
	RAFT3D_MINUTES=$(or $(MINUTES),10) $(TIMES) no_elections_when_quiet
	RAFT3D_MINUTES=$(or $(MINUTES),10) $(TIMES) no_elections_under_load

soak: setup    ## one cluster under faults for MINUTES (30): memory flat, disk bounded; target/soak/report.txt
	RAFT3D_MINUTES=$(or $(MINUTES),30) $(TIMES) soak

events: setup  ## OPERATIONS (100000) on a cluster whose nodes are killed, then the farm rebuilt from its events
	RAFT3D_OPERATIONS=$(or $(OPERATIONS),100000) cargo test --locked --test cluster_events -- \
		--ignored --nocapture --exact events_of_many_operations

schemathesis: setup ## test the API of a real cluster by its own description, for SECONDS (600)
	RAFT3D_SECONDS=$(or $(SECONDS),600) cargo test --locked --test cluster_schemathesis -- --nocapture

check: setup   ## formats, warnings and docs only; changes nothing
	scripts/check.sh

fix:       ## format all code
	cargo fmt --all
	scripts/cpp-files.sh | xargs clang-format -i

deb:       ## build the Debian package under target/debian
	@scripts/setup.sh build deb
	cargo build --release --locked
	scripts/deb.sh target/release/raft3d target/debian

docs: setup    ## write anew what the documentation takes from the code
	RAFT3D_GOLDEN=write cargo test --locked --test cli --test http -- generated:: access::
	RAFT3D_OPENAPI=write cargo test --locked --test http openapi::

bench:     ## measure for 25 minutes, beside etcd and openraft too; results under target/bench
	@scripts/setup.sh build bench
	cargo bench --locked

clean:
	rm -rf build target
