// Command stripe-connect runs pipelines of Redpanda Connect (Benthos) that read from
// Stripe and write to it. Package redpanda describes them.
//
//	stripe-connect list                            the components
//	stripe-connect create stripe/bloblang/file     a configuration to begin with
//	stripe-connect lint pipeline.yaml
//	stripe-connect run pipeline.yaml
package main

import (
	"context"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/ncruces/go-sqlite3/driver"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure/extended"
	"github.com/redpanda-data/benthos/v4/public/service"

	_ "github.com/stripekit/stripekit/connector/redpanda"
	_ "github.com/stripekit/stripekit/connector/redpanda/sqlinsert"
)

func main() {
	service.RunCLI(context.Background(), service.CLIOptSetBinaryName("stripe-connect"))
}
