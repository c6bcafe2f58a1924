package fleettest_test

import (
	"os"
	"os/exec"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/fleet/fleettest"
)

func TestMemoryEnginePassesTestEngine(t *testing.T) {
	fleettest.TestEngine(t, func(*testing.T) func() fleet.Engine {
		engine := new(fleet.MemoryEngine)
		return func() fleet.Engine { return engine }
	})
}

// In a bubble, a subtest that waits for a ttl takes no time.
func TestMemoryEnginePassesEachSubtestInABubble(t *testing.T) {
	for _, check := range fleettest.EngineChecks() {
		t.Run(check, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := new(fleet.MemoryEngine)
				got := runTest(t, func(test testing.TB) {
					fleettest.CheckEngine(test, check, func() fleet.Engine { return engine })
				})
				require.Empty(t, got.messages)
			})
		})
	}
}

func TestEngineFindsEachFault(t *testing.T) {
	found := map[string]bool{}
	for _, b := range brokenEngines() {
		require.NotEmpty(t, b.checks, b.fault)
		for _, check := range b.checks {
			found[check] = true
			t.Run(b.fault+"/"+check, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					over := make(chan struct{})
					got := runTest(t, func(test testing.TB) { fleettest.CheckEngine(test, check, b.open(over)) })
					close(over)
					require.True(t, got.Failed(), "the subtest has passed")
					t.Log(got.messages)
				})
			})
		}
	}
	for _, check := range fleettest.EngineChecks() {
		require.True(t, found[check], "no engine is there to fail %q", check)
	}
}

func TestKeysAreDifferentAndHaveEachCharacter(t *testing.T) {
	seen, characters, longest := map[string]bool{}, map[rune]bool{}, 0
	for _, key := range fleettest.AllKeys() {
		require.False(t, seen[key], "%.60q is there twice", key)
		seen[key] = true
		longest = max(longest, len(key))
		for _, c := range key {
			characters[c] = true
		}
	}
	require.Equal(t, 200, longest)
	require.Len(t, characters, 26+26+10+len("-_./"))
}

// It runs itself in another process, because TestEngine fails the test that calls it.
func TestEngineFailsTheTestOfABrokenEngine(t *testing.T) {
	const variable, failing, passing = "STRIPEKIT_BROKEN_ENGINE", "a_Put_with_another_revision_is_a_conflict", "every_value_is_kept"
	if os.Getenv(variable) != "" {
		fleettest.TestEngine(t, func(*testing.T) func() fleet.Engine { return brokenEngines()[0].open(nil) })
		return
	}
	command := exec.Command(os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$/^("+failing+"|"+passing+")$")
	command.Env = append(os.Environ(), variable+"=1")
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Contains(t, string(out), "--- FAIL: "+t.Name()+"/"+failing)
	require.Contains(t, string(out), "--- PASS: "+t.Name()+"/"+passing)
}
