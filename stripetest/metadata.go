package stripetest

import (
	"fmt"
	"unicode/utf8"
)

const (
	maxMetadata      = 50  // keys of an object
	maxMetadataKey   = 40  // characters
	maxMetadataValue = 500 // characters
)

// metadata checks a metadata parameter. It may be empty, which clears it.
func metadata(name string, v *value) *apiError {
	if v.below == nil && v.text != "" {
		return invalidRequest("", name, "Invalid object")
	}
	if len(v.names) > maxMetadata {
		return invalidRequest("", name, fmt.Sprintf("Metadata can have up to %d keys", maxMetadata))
	}
	for _, key := range v.names {
		if failure := metadataEntry(nested(name, key), key, v.below[key]); failure != nil {
			return failure
		}
	}
	return nil
}

func metadataEntry(name, key string, v *value) *apiError {
	if failure := text(name, v); failure != nil {
		return failure
	}
	if utf8.RuneCountInString(key) > maxMetadataKey {
		return invalidRequest("", name, fmt.Sprintf("Metadata keys can have up to %d characters: %s", maxMetadataKey, key))
	}
	if utf8.RuneCountInString(v.text) > maxMetadataValue {
		return invalidRequest("", name, fmt.Sprintf("Metadata values can have up to %d characters: %s", maxMetadataValue, key))
	}
	return nil
}

// newMetadata is the metadata of a new object: an empty value is a key unset.
func newMetadata(params *value) map[string]string {
	entries := make(map[string]string)
	if sent := params.hash("metadata"); sent != nil {
		for key, v := range sent.below {
			if v.text != "" {
				entries[key] = v.text
			}
		}
	}
	return entries
}
