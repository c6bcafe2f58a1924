package stripemcp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/connector"
)

func TestRewordingsAreOfTextsInTheCatalog(t *testing.T) {
	var catalog strings.Builder
	for _, action := range connector.Actions() {
		catalog.WriteString(action.Description)
		catalog.Write(action.Input)
	}
	for i := 0; i < len(rewordings); i += 2 {
		require.Contains(t, catalog.String(), rewordings[i])
	}
}
