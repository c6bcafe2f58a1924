package stripekit_test

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// recording is a call, and the complete result that it returns for a fixture.
type recording struct {
	versions []string // that have the fixture
	request  served   // without version and fixture
	read     func(context.Context, *stripekit.Client) (any, error)
	want     wanted
}

// wanted is what a fixture decodes to, written by hand.
type wanted func(*testing.T, served) any

// recordings are all fixtures, by name.
func recordings() map[string]recording {
	all := map[string]recording{}
	for _, some := range []map[string]recording{
		accountRecordings(), chargeRecordings(), customerRecordings(), errorRecordings(), invoiceItemRecordings(),
		orderRecordings(), productRecordings(), refundRecordings(),
	} {
		maps.Copy(all, some)
	}
	return all
}

func TestEveryFixtureDecodesAsAWhole(t *testing.T) {
	for name, r := range recordings() {
		for _, version := range r.versions {
			t.Run(version+"/"+name, func(t *testing.T) {
				exchange := r.request
				exchange.version, exchange.fixture = version, name
				client := gockClient(t, pin(version), exchange)
				got, err := r.read(t.Context(), client)
				require.NoError(t, err)
				require.Empty(t, cmp.Diff(r.want(t, exchange), got, cmpopts.IgnoreUnexported(stripekit.Error{})))
			})
		}
	}
}

// TestEveryFixtureIsRead requires a recording for each file, and a file for each
// recording.
func TestEveryFixtureIsRead(t *testing.T) {
	var read, files []string
	for name, r := range recordings() {
		for _, version := range r.versions {
			read = append(read, path.Join(version, name+".json"))
		}
	}
	require.NoError(t, fs.WalkDir(os.DirFS("testdata/fixtures"), ".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, file)
		}
		return err
	}))
	slices.Sort(read)
	slices.Sort(files)
	require.Empty(t, cmp.Diff(read, files))
}

// itself expects the object.
func itself[T any](object func(version string) *T) wanted {
	return func(_ *testing.T, s served) any { return object(s.version) }
}

// onPage expects a page of a list with this object alone.
func onPage[T any](object func(version string) *T) wanted {
	return func(_ *testing.T, s served) any {
		return &stripekit.Page[T]{Data: []*T{object(s.version)}, URL: s.path}
	}
}

// foundAlone expects a search to find this object alone.
func foundAlone[T any](object func(version string) *T) wanted {
	return func(_ *testing.T, s served) any { return []*T{object(s.version)} }
}

// drawn expects an object with an id that is another in each recording.
func drawn[T any](object func(version, id string) *T) wanted {
	return func(t *testing.T, s served) any {
		t.Helper()
		return object(s.version, fixtureID(t, s))
	}
}

// everything returns all objects that a search finds.
func everything[T any](found iter.Seq2[*T, error]) (any, error) {
	var objects []*T
	for object, err := range found {
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func recordedAccount(version, id string) *stripekit.Account {
	account := &stripekit.Account{
		ID:              id,
		Country:         "US",
		Created:         1234567890,
		DefaultCurrency: "usd",
		Email:           "site@stripe.com",
		Mode:            stripekit.ModeTest,
		Type:            "standard",
	}
	if version == "2017-08-15" {
		account.Created, account.BusinessName = 0, "Stripe.com"
	}
	return account
}

func accountRecordings() map[string]recording {
	return map[string]recording{
		"account": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/account"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				result, err := c.Check(ctx)
				if err != nil {
					return nil, err
				}
				return result.Account, nil
			},
			want: drawn(recordedAccount),
		},
	}
}

func createdCharge(version, id string) *stripekit.Charge {
	charge := recordedCharge(version)
	charge.ID = id
	charge.Amount = 2000
	charge.Description = "Recorded for tests"
	if version != "2017-08-15" { // where it has no customer
		charge.Customer.ID = recordedCustomer(version).ID
	}
	return charge
}

func expandedCharge(version string) *stripekit.Charge {
	charge, customer := recordedCharge(version), recordedCustomer(version)
	charge.Customer = stripekit.Ref[stripekit.Customer]{ID: customer.ID, Object: customer}
	return charge
}

func chargeRecordings() map[string]recording {
	return map[string]recording{
		"charge": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/charges/ch_1"},
			read:     func(ctx context.Context, c *stripekit.Client) (any, error) { return c.Charges.Get(ctx, "ch_1") },
			want:     itself(recordedCharge),
		},
		"charge_created": {
			versions: fixtureVersions,
			request:  served{method: "POST", path: "/v1/charges", params: "amount=2000&currency=usd&customer=cus_1&description=Recorded+for+tests"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Charges.Create(ctx, stripekit.ChargeCreateParams{
					Amount: 2000, Currency: "usd", Customer: new("cus_1"), Description: new("Recorded for tests"),
				})
			},
			want: drawn(createdCharge),
		},
		"charge_expanded": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/charges/ch_1", params: "expand[0]=customer"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Charges.Get(ctx, "ch_1", stripekit.WithExpand("customer"))
			},
			want: itself(expandedCharge),
		},
		"charges_page": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/charges"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Charges.Page(ctx, stripekit.ChargeListParams{})
			},
			want: onPage(recordedCharge),
		},
		"charges_search": {
			versions: fixtureVersions[3:],
			request:  served{method: "GET", path: "/v1/charges/search", params: "query=amount%3E100&limit=100"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return everything(c.Charges.Search(ctx, "amount>100"))
			},
			want: foundAlone(recordedCharge),
		},
	}
}

func createdCustomer(version, id string) *stripekit.Customer {
	customer := recordedCustomer(version)
	customer.ID = id
	customer.Balance = -250
	if version != "2017-08-15" { // where it has neither
		customer.Description, customer.Email = "Recorded for tests", "jenny@example.com"
	}
	return customer
}

func deletedCustomer(_, id string) *stripekit.Customer {
	return &stripekit.Customer{ID: id, Deleted: true}
}

func customerRecordings() map[string]recording {
	return map[string]recording{
		"customer": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/customers/cus_1"},
			read:     func(ctx context.Context, c *stripekit.Client) (any, error) { return c.Customers.Get(ctx, "cus_1") },
			want:     itself(recordedCustomer),
		},
		"customer_created": {
			versions: fixtureVersions,
			request:  served{method: "POST", path: "/v1/customers", params: "email=jenny@example.com"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Customers.Create(ctx, stripekit.CustomerCreateParams{Email: new("jenny@example.com")})
			},
			want: drawn(createdCustomer),
		},
		"customer_deleted": {
			versions: fixtureVersions[1:],
			request:  served{method: "DELETE", path: "/v1/customers/cus_1"},
			read:     func(ctx context.Context, c *stripekit.Client) (any, error) { return c.Customers.Delete(ctx, "cus_1") },
			want:     drawn(deletedCustomer),
		},
		"customers_page": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/customers"},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return c.Customers.Page(ctx, stripekit.CustomerListParams{})
			},
			want: onPage(recordedCustomer),
		},
		"customers_search": {
			versions: fixtureVersions[3:],
			request:  served{method: "GET", path: "/v1/customers/search", params: `query=email:"jenny@example.com"&limit=100`},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return everything(c.Customers.Search(ctx, `email:"jenny@example.com"`))
			},
			want: foundAlone(recordedCustomer),
		},
	}
}

// failure returns the error of a call without the address in memory in its message,
// which is another in each recording.
func failure[T any](_ *T, err error) (any, error) {
	var failed *stripekit.Error
	if !errors.As(err, &failed) {
		return nil, err
	}
	failed.Message = regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(failed.Message, "0x0")
	return failed, nil
}

// refused expects the error for s.status.
func refused(message, key string) wanted {
	return func(_ *testing.T, s served) any {
		return &stripekit.Error{
			Method: s.method, Path: s.path, HTTPStatus: s.status, Type: "invalid_request_error", Message: message,
			RequestID: "req_fixture", IdempotencyKey: key, Attempts: 1,
		}
	}
}

func errorRecordings() map[string]recording {
	return map[string]recording{
		"error_missing_parameter": {
			versions: fixtureVersions,
			request:  served{method: "POST", path: "/v1/products", params: "name=T-shirt", status: http.StatusBadRequest},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return failure(c.Products.Create(ctx, stripekit.ProductCreateParams{Name: "T-shirt"}, stripekit.WithIdempotencyKey("key_1")))
			},
			want: refused("Request validation error: validator 0x0 failed: object property 'name' is required", "key_1"),
		},
		"error_unknown_parameter": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/charges", params: "nonsense=1", status: http.StatusBadRequest},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return failure(c.Charges.Page(ctx, stripekit.ChargeListParams{Extra: stripekit.Extra{"nonsense": 1}}))
			},
			want: refused("Request validation error: validator 0x0 failed: additional properties are not allowed", ""),
		},
		"error_unrecognized_url": {
			versions: fixtureVersions,
			request:  served{method: "GET", path: "/v1/customers/cus_1", status: http.StatusNotFound},
			read: func(ctx context.Context, c *stripekit.Client) (any, error) {
				return failure(c.Customers.Get(ctx, "cus_1"))
			},
			want: refused("Unrecognized request URL (GET: /v1/nonsense).", ""),
		},
	}
}
