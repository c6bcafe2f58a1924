package stripekit_test

import (
	"context"
	"go/ast"
	"go/parser"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/schedule"
)

// A number without a unit is nanoseconds: a busy loop, or a timeout at once.
func TestSettingsRefuseATimeWithoutItsUnit(t *testing.T) {
	client, err := stripekit.New(goodKey)
	require.NoError(t, err)
	poller := func(cfg stripekit.PollConfig) error {
		_, err := stripekit.NewPoller(client.Charges, cfg)
		return err
	}
	opened := func(c stripekit.Connection) error {
		c.Name, c.APIKey = "shop", stripekit.NewSecret(goodKey)
		_, err := c.Open()
		return err
	}
	for setting, set := range map[string]func(time.Duration) error{
		"stripe: PollConfig.Every":   func(d time.Duration) error { return poller(stripekit.PollConfig{Every: d}) },
		"stripe: PollConfig.Overlap": func(d time.Duration) error { return poller(stripekit.PollConfig{Overlap: d}) },
		"stripe: WithTimeout:": func(d time.Duration) error {
			_, err := stripekit.New(goodKey, stripekit.WithTimeout(d))
			return err
		},
		"stripe: timeout:": func(d time.Duration) error { return opened(stripekit.Connection{Timeout: d}) },
		"stripe: Schedule.Every": func(d time.Duration) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return schedule.Schedule{Every: d}.Run(ctx, nil)
		},
	} {
		for d, problem := range map[time.Duration]string{
			-1:                  " must not be negative",
			15:                  " is 15ns: is the unit missing?",
			999:                 " is 999ns: is the unit missing?",
			30_000:              " is 30µs: is the unit missing?",
			0:                   "",
			time.Second:         "",
			90 * 24 * time.Hour: "",
		} {
			if setting == "stripe: PollConfig.Every" && d >= time.Microsecond {
				problem = ""
			}
			if err := set(d); problem == "" {
				require.NoError(t, err, "%s %v", setting, d)
			} else {
				require.EqualError(t, err, setting+problem)
			}
		}
	}
}

var (
	settingsStruct = regexp.MustCompile(`(Config|Options|Connection|Trigger|Schedule)$`)
	checkedName    = regexp.MustCompile(`duration\.Check(?:From)?\([^,]*\b(\w+):?",`)
)

// TestEveryTimeSettingIsChecked finds each field of the type time.Duration of the
// structs that users fill in, and requires that its package checks it.
func TestEveryTimeSettingIsChecked(t *testing.T) {
	settings := 0
	for _, dir := range apiPackages {
		fset, files := parse(t, dir, parser.SkipObjectResolution)
		names := map[string]bool{}
		for _, file := range files {
			for _, found := range checkedName.FindAllStringSubmatch(source(t, fset, file), -1) {
				names[strings.TrimPrefix(found[1], "With")] = true
			}
		}
		for _, file := range files {
			ast.Inspect(file, func(node ast.Node) bool {
				spec, ok := node.(*ast.TypeSpec)
				if !ok || !settingsStruct.MatchString(spec.Name.Name) {
					return true
				}
				ast.Inspect(spec.Type, func(node ast.Node) bool {
					field, ok := node.(*ast.Field)
					if !ok || source(t, fset, field.Type) != "time.Duration" {
						return true
					}
					for _, name := range field.Names {
						settings++
						require.True(t, names[name.Name], "%s: %s.%s is not checked by duration.Check", dir, spec.Name.Name, name.Name)
					}
					return true
				})
				return true
			})
		}
	}
	require.Equal(t, 9, settings, "they were found")
}
