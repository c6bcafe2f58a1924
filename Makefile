# The commands of a day. CONTRIBUTING.md has the others.

.PHONY: test lint race bench ci

test: # all tests of all modules
	go test work

lint: # gofumpt, go vet and golangci-lint, in all modules
	.ci/run lint

race: # the tests under the race detector
	.ci/run race

bench: # the README's table of performance
	go run ./internal/benchmarks

ci: # what CI runs
	.ci/run
