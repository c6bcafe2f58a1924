package stripetest

import (
	"fmt"
	"maps"
	"unicode/utf8"
)

const (
	maxMetadata      = 50  // keys of one object
	maxMetadataKey   = 40  // characters
	maxMetadataValue = 500 // characters
)

// metadata checks a metadata parameter. An empty one clears all keys.
func metadata(name string, v *value) *apiError {
	if v.children == nil && v.text != "" {
		return invalidRequest("", name, "Invalid object")
	}
	if len(v.names) > maxMetadata {
		return tooMuchMetadata(name)
	}
	for _, key := range v.names {
		if failure := metadataEntry(name, key, v.children[key]); failure != nil {
			return failure
		}
	}
	return nil
}

// metadataEntry has the texts of stripe-php issue 246, and the parameter of
// camptix issue 228, which is metadata as a whole.
func metadataEntry(name, key string, v *value) *apiError {
	switch {
	case v.children != nil:
		return text(nested(name, key), v)
	case utf8.RuneCountInString(key) > maxMetadataKey:
		return invalidRequest("", name, fmt.Sprintf("Invalid key: %s must be a string under %d characters", key, maxMetadataKey))
	case utf8.RuneCountInString(v.text) > maxMetadataValue:
		return invalidRequest("", name, fmt.Sprintf("Invalid val: %s must be a string under %d characters", v.text, maxMetadataValue))
	}
	return nil
}

// newMetadata returns the metadata of a new object. It skips keys with an empty
// value.
func newMetadata(params *value) map[string]string {
	entries := make(map[string]string)
	if sent := params.hash("metadata"); sent != nil {
		for key, v := range sent.children {
			if v.text != "" {
				entries[key] = v.text
			}
		}
	}
	return entries
}

// mergeMetadata returns the metadata of an updated object. A key with an empty
// value is removed; an empty parameter removes all keys.
func mergeMetadata(params *value, old map[string]string) (map[string]string, *apiError) {
	if !params.has("metadata") {
		return old, nil
	}
	sent := params.hash("metadata")
	if sent == nil {
		return map[string]string{}, nil
	}
	merged := maps.Clone(old)
	for key, v := range sent.children {
		if v.text == "" {
			delete(merged, key)
		} else {
			merged[key] = v.text
		}
	}
	if len(merged) > maxMetadata {
		return nil, tooMuchMetadata("metadata")
	}
	return merged, nil
}

func tooMuchMetadata(name string) *apiError {
	return invalidRequest("", name, fmt.Sprintf("Metadata can have up to %d keys", maxMetadata))
}
