package stripemcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	"github.com/stripekit/stripekit/connector/mcp/internal/bound"
	"github.com/stripekit/stripekit/internal/transport"
)

// toolOf returns the tool of an action.
func toolOf(action connector.Action) *mcp.Tool {
	return &mcp.Tool{
		Name:        strings.ReplaceAll(action.Name, ".", "_"), // clients allow letters, digits, _ and -
		Title:       action.Title,
		Description: shorter.Replace(action.Description),
		InputSchema: briefInput(action),
		Annotations: annotations(action),
	}
}

// additive are the writes that only add an object, and move no money. Any other write is
// destructive: it overwrites, ends or removes something, or moves money.
var additive = []string{"customers.create", "products.create", "orders.create", "invoice_items.create"}

// repeatable are the verbs of writes that change nothing more when they are repeated with
// the same arguments.
var repeatable = []string{"update", "delete", "cancel", "capture"}

// annotations returns what a client may know of an action. OpenWorldHint is true by
// default: results have text of other people.
func annotations(action connector.Action) *mcp.ToolAnnotations {
	if action.Access == connector.Read {
		return reads()
	}
	_, verb, _ := strings.Cut(action.Name, ".")
	return &mcp.ToolAnnotations{
		DestructiveHint: new(!slices.Contains(additive, action.Name)),
		IdempotentHint:  slices.Contains(repeatable, verb),
	}
}

// reads returns the annotations of a tool that reads from Stripe.
func reads() *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true}
}

// handle returns the handler of an action. It gets the arguments as the client has sent
// them: connector.Invoke checks them, with a path in its errors.
func (a *account) handle(name string) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return a.call(ctx, req.Params.Name, func(ctx context.Context) ([]byte, error) {
			response, err := connector.Invoke(ctx, a.client, name, req.Params.Arguments)
			if err != nil {
				return nil, err
			}
			output, err := bound.Response(response, a.options.MaxBytes, backwards(req.Params.Arguments))
			return []byte(transport.Mask(string(output))), err // of what is left: a response may be huge
		}), nil
	}
}

// backwards reports whether arguments ask for the page before an object.
func backwards(arguments json.RawMessage) bool {
	var page struct {
		EndingBefore *string `json:"ending_before"`
	}
	return json.Unmarshal(arguments, &page) == nil && page.EndingBefore != nil
}

// failure returns an error as the result of a tool. It is not an error of the protocol,
// so that the agent sees it.
func (a *account) failure(err error) *mcp.CallToolResult {
	text := transport.Mask(errorText(err))
	if len(text) > a.options.MaxBytes {
		text = strings.ToValidUTF8(text[:a.options.MaxBytes], "")
	}
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// errorText returns an error with what an agent needs to act on it.
func errorText(err error) string {
	text := err.Error()
	e, ok := errors.AsType[*stripekit.Error](err)
	if !ok {
		return text
	}
	if e.Param != "" {
		text += "\nThe parameter is " + e.Param + "."
	}
	if e.ChargeID != "" {
		text += "\nStripe keeps the failed charge as " + e.ChargeID + "."
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf("\nStripe asks to wait for %v before the next call.", e.RetryAfter)
	}
	if e.OutcomeUnknown {
		text += fmt.Sprintf("\nIt may have been carried out. Repeat it with the same arguments and the idempotency_key %s: it is then carried out once at most.", e.IdempotencyKey)
	}
	return text
}
