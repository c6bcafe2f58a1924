package stripesql

import (
	"fmt"
	"math"
	"slices"

	"github.com/ncruces/go-sqlite3"
)

// discrete is the name of the function whose result is one of the values. The others
// interpolate between two.
const discrete = "percentile_disc"

// valueSize is the size of a value that a percentile holds, in bytes.
const valueSize = 8

// percentile computes median, percentile, percentile_cont or percentile_disc. It holds
// the values of all rows of its group, outside of SQLite. Together, the percentiles of a
// connection hold up to as many bytes as SQLite may use.
type percentile struct {
	conn     *conn
	name     string
	whole    float64 // the rank of the greatest value, 0 if the function has no rank
	fraction float64 // the rank, from 0 to 1
	ranked   bool    // fraction is set
	values   []float64
}

// percentiles returns the constructor of a function. The ranks of its second argument
// go from 0 to whole. If whole is 0, there is no second argument, and the rank is the
// middle.
func (c *conn) percentiles(name string, whole float64) sqlite3.AggregateConstructor {
	return func() sqlite3.AggregateFunction {
		return &percentile{conn: c, name: name, whole: whole, fraction: 0.5}
	}
}

// Step adds the value of a row. NULL is ignored.
func (p *percentile) Step(ctx sqlite3.Context, args ...sqlite3.Value) {
	if err := p.add(args); err != nil {
		ctx.ResultError(err) // it ends the statement
	}
}

func (p *percentile) add(args []sqlite3.Value) error {
	if err := p.rank(args[1:]); err != nil {
		return err
	}
	value, ok, err := number(p.name, args[0])
	if err != nil || !ok {
		return err
	}
	if err := p.grow(); err != nil {
		return err
	}
	p.values = append(p.values, value)
	return nil
}

// rank sets the rank, which must be the same in all rows.
func (p *percentile) rank(args []sqlite3.Value) error {
	if len(args) == 0 {
		return nil
	}
	given, ok, err := number(p.name, args[0])
	fraction := given / p.whole
	switch {
	case err != nil:
		return err
	case !ok || fraction < 0 || fraction > 1:
		return fmt.Errorf("%s: the second argument must be from 0 to %v", p.name, p.whole)
	case p.ranked && fraction != p.fraction:
		return fmt.Errorf("%s: the second argument must be the same for all rows", p.name)
	}
	p.fraction, p.ranked = fraction, true
	return nil
}

// grow makes room for a value. While the values are copied, both copies count.
func (p *percentile) grow() error {
	if len(p.values) < cap(p.values) {
		return nil
	}
	const least = 64
	room := max(least, cap(p.values)+cap(p.values)/4)
	if err := p.conn.hold(room * valueSize); err != nil {
		return err
	}
	p.conn.held -= cap(p.values) * valueSize
	p.values = append(make([]float64, 0, room), p.values...)
	return nil
}

// hold counts bytes that a function is about to allocate.
func (c *conn) hold(bytes int) error {
	if c.held+bytes > c.source.maxMemory {
		return c.running.fail(ErrMemory)
	}
	c.held += bytes
	return nil
}

// Inverse removes the value of a row that has left the window.
func (p *percentile) Inverse(_ sqlite3.Context, args ...sqlite3.Value) {
	value, ok, _ := number(p.name, args[0])
	if i := slices.Index(p.values, value); ok && i >= 0 {
		p.values = slices.Delete(p.values, i, i+1)
	}
}

// Value returns the percentile. It is NULL if there are no values.
func (p *percentile) Value(ctx sqlite3.Context) {
	if len(p.values) == 0 {
		return
	}
	slices.Sort(p.values)
	below, part := math.Modf(p.fraction * float64(len(p.values)-1))
	result := p.values[int(below)]
	if part > 0 && p.name != discrete {
		result += part * (p.values[int(below)+1] - result)
	}
	ctx.ResultFloat(result)
}

// Close gives back the memory.
func (p *percentile) Close() error {
	p.conn.held -= cap(p.values) * valueSize
	p.values = nil
	return nil
}
