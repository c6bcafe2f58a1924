package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/stripekit/stripekit"
)

// comparison compares the mirror with the account.
type comparison struct {
	customers, charges int      // in the account
	differences        []string // one for each row that is missing, or differs, or should not be there
}

// compare reads all objects of the account and compares them with the rows.
func compare(ctx context.Context, client *stripekit.Client, db *database) (c comparison, err error) {
	customers, err := texts(client.Customers.List(ctx, stripekit.CustomerListParams{}), func(o *stripekit.Customer) string { return o.ID })
	if err != nil {
		return c, err
	}
	charges, err := texts(client.Charges.List(ctx, stripekit.ChargeListParams{}), func(o *stripekit.Charge) string { return o.ID })
	if err != nil {
		return c, err
	}
	c.customers, c.charges = len(customers), len(charges)
	for table, objects := range map[string]map[string]string{"customers": customers, "charges": charges} {
		rows, err := db.rows(ctx, table)
		if err != nil {
			return c, err
		}
		c.differences = append(c.differences, differences(objects, rows)...)
	}
	slices.Sort(c.differences)
	return c, nil
}

// texts returns the objects of a list as JSON, by their ids.
func texts[T any](list iter.Seq2[*T, error], id func(*T) string) (map[string]string, error) {
	objects := map[string]string{}
	for object, err := range list {
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		objects[id(object)] = string(text)
	}
	return objects, nil
}

// rows returns the objects in a table, by their ids.
func (d *database) rows(ctx context.Context, table string) (map[string]string, error) {
	rows, err := d.QueryContext(ctx, `SELECT id, object FROM `+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	objects := map[string]string{}
	for rows.Next() {
		var id, object string
		if err := rows.Scan(&id, &object); err != nil {
			return nil, err
		}
		objects[id] = object
	}
	return objects, rows.Err()
}

func differences(objects, rows map[string]string) (found []string) {
	for id, object := range objects {
		switch stored, ok := rows[id]; {
		case !ok:
			found = append(found, id+" is missing")
		case stored != object:
			found = append(found, id+" differs: "+attributes(object, stored))
		}
	}
	for id := range rows {
		if _, ok := objects[id]; !ok {
			found = append(found, id+" is not in the account")
		}
	}
	return found
}

// attributes names the attributes by which two objects differ, with the values of the
// account and of the mirror.
func attributes(object, stored string) string {
	var account, mirror map[string]any
	if json.Unmarshal([]byte(object), &account) != nil || json.Unmarshal([]byte(stored), &mirror) != nil {
		return "the row is no object"
	}
	var text string
	for name, value := range account {
		if !cmp.Equal(value, mirror[name]) {
			text += fmt.Sprintf("%s is %v and not %v; ", name, value, mirror[name])
		}
	}
	return text
}
