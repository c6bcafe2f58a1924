package stripemcp_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/stripekit/stripekit"
	stripemcp "github.com/stripekit/stripekit/connector/mcp"
	"github.com/stripekit/stripekit/stripetest"
)

func ExampleNewServer() {
	fake := stripetest.New(stripetest.InMemory())
	defer fake.Close()
	fake.Seed("/v1/charges", stripetest.Seeding{Count: 3, Params: map[string][]string{
		"amount": {"2000"}, "currency": {"usd"}, "source": {"tok_visa"},
	}})
	client, err := stripekit.New("sk_test_1", stripekit.WithHTTPClient(fake.Client()))
	if err != nil {
		panic(err)
	}
	server, err := stripemcp.NewServer(client, stripemcp.Options{})
	if err != nil {
		panic(err)
	}

	// A program would use &mcp.StdioTransport{}, and its client is an agent.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	agentSide, serverSide := mcp.NewInMemoryTransports()
	go func() { _ = server.Run(ctx, serverSide) }()
	agent, err := mcp.NewClient(&mcp.Implementation{Name: "agent"}, nil).Connect(ctx, agentSide, nil)
	if err != nil {
		panic(err)
	}
	result, err := agent.CallTool(ctx, &mcp.CallToolParams{
		Name: "sql", Arguments: json.RawMessage(`{"query": "SELECT currency, sum(amount) FROM charges GROUP BY currency"}`),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Content[0].(*mcp.TextContent).Text)
	// Output:
	// {"columns":["currency","sum(amount)"],"rows":[["usd",6000]],"calls":1}
}
