# The same two without make: ./scripts/run and ./scripts/test
.PHONY: run test check lock
run:            ## a keyless mock trading session, about a minute, ends flat
	@./scripts/run
test:           ## the tests
	@./scripts/test
check:          ## lint and types
	@./scripts/check
lock:           ## renew requirements/*.txt from pyproject.toml
	@./scripts/lock
