package redpanda

import (
	"errors"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func init() {
	if err := Register(service.GlobalEnvironment()); err != nil {
		panic("redpanda: " + err.Error()) // another package has registered the same names
	}
}

// Register adds the components to an environment. The global one has them already, and
// so has every environment that is made from it. Register returns an error if a name is
// taken.
func Register(env *service.Environment) error {
	return errors.Join(
		env.RegisterInput("stripe", inputSpec(), newInput),
		env.RegisterInput("stripe_sql", sqlSpec(), newSQLInput),
		env.RegisterProcessor("stripe", processorSpec(), newProcessor),
		env.RegisterOutput("stripe", outputSpec(), newOutput),
	)
}
