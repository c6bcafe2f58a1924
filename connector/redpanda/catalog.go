package redpanda

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// catalogField returns a field for the name of a trigger or an action: what says which
// kind of them. descriptions has the names.
func catalogField(field, what string, descriptions map[string]string) *service.ConfigField {
	names, short := []string{}, map[string]string{}
	for name, description := range descriptions {
		names, short[name] = append(names, name), firstSentence(description)
	}
	slices.Sort(names)
	list, err := json.Marshal(names)
	if err != nil {
		panic("redpanda: " + err.Error()) // strings can be encoded
	}
	// The rule of the engine for an enum takes a dot in a name for the end of a key.
	return service.NewStringAnnotatedEnumField(field, short).LintRule(
		`root = if !` + string(list) + `.contains(this) { [ "there is no ` + what + ` named %v".format(this) ] }`)
}

func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".") + "."
}
