package stripesql

import (
	"errors"
	"math"

	"github.com/ncruces/go-sqlite3"
)

// variance computes var_pop, var_samp, stddev_pop or stddev_samp. It keeps the mean and
// the sum of the squared distances from it up to date, by the method of Welford, because
// the squares of large amounts would lose their digits.
type variance struct {
	name    string
	sample  bool // divide by one less than the number of values
	root    bool // the standard deviation
	count   float64
	mean    float64
	squares float64
}

// variances returns the constructor of a function.
func variances(name string, sample, root bool) sqlite3.AggregateConstructor {
	return func() sqlite3.AggregateFunction { return &variance{name: name, sample: sample, root: root} }
}

// Step adds the value of a row. NULL is ignored.
func (v *variance) Step(ctx sqlite3.Context, args ...sqlite3.Value) {
	value, ok, err := number(v.name, args[0])
	if err != nil {
		ctx.ResultError(err) // it ends the statement
	}
	if !ok {
		return
	}
	v.count++
	distance := value - v.mean
	v.mean += distance / v.count
	v.squares += distance * (value - v.mean)
}

// Inverse would remove the value of a row that has left the window. What a large value has
// rounded off does not come back, so a frame whose beginning moves is an error.
func (v *variance) Inverse(ctx sqlite3.Context, _ ...sqlite3.Value) {
	ctx.ResultError(errors.New(v.name + ": the frame must begin with the partition"))
}

// Value returns the result. It is NULL if there are too few values.
func (v *variance) Value(ctx sqlite3.Context) {
	divisor := v.count
	if v.sample {
		divisor--
	}
	if divisor <= 0 {
		return
	}
	result := v.squares / divisor
	if v.root {
		result = math.Sqrt(result)
	}
	ctx.ResultFloat(result)
}
