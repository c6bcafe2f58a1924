// Package stripemcp offers a Stripe account to agents, over the Model Context
// Protocol. It makes a server of the official Go SDK, whose package is called mcp:
//
//	server, err := stripemcp.NewServer(client, stripemcp.Options{})
//	if err != nil {
//		return err
//	}
//	return server.Run(ctx, &mcp.StdioTransport{})
//
// The command stripe-mcp, in cmd/stripe-mcp, is such a server over stdin and stdout.
//
// # Tools
//
// Each action of package connector is a tool. Its name is that of the action with an
// underscore, charges_list for charges.list, and it accepts the same input. Actions that
// write are tools only with Options.Write. The tool sql queries the account by package
// stripesql, and sql_tables lists the columns of its tables.
//
// The schema of an input is that of the action in brief, since an agent reads all schemas
// in every conversation. It has each parameter that an agent may need, with its type,
// values and unit, and says which are required. null, which is the same as leaving a
// parameter out, is accepted although the schema does not have it.
//
// # Results
//
// A result is a JSON object, as structured content and as text. It has at most
// Options.MaxBytes bytes, and is always whole JSON. If something is left out, the object
// has a field "truncated" that says what, and how to get the rest:
//
//   - Of a page, the last objects are left out. has_more is true, and the text names the
//     id to continue with as starting_after. A search has no such cursor, and must be
//     narrowed down.
//   - Of a single object, the largest fields are left out, and the text names them.
//   - Of a query, the last rows are left out.
//
// A page before an object (ending_before) is not cut, but refused if it is too large: its
// last objects are the nearest.
//
// Four statements of SQL run at the same time, each within 32 MiB of memory; others wait.
// A statement within a long call of an SQL function has its response at the timeout, though
// SQLite ends it only after that call.
//
// The tools have no output schemas. These would take more of an agent's context than all
// else about the tools, and a cut object may lack what its schema requires.
//
// A failure is a result with IsError and a text, which has Stripe's code and the request
// id, or the path of the field that was refused. API keys that stand in results and in
// errors as they are, are masked.
//
// # What an agent may do
//
// An agent reads texts that other people have written, such as the description of a
// charge, and can be tricked by them. The instructions of the server tell it to treat
// these as data, which is no protection. The protection is a server without
// Options.Write, on a client with stripekit.ReadOnly, and a restricted key that may do no
// more than is needed.
package stripemcp
