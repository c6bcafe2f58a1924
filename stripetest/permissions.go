package stripetest

import (
	"fmt"
	"net/http"
	"strings"
)

// WithPermissions limits a restricted key (rk_test_…, rk_live_…) to these
// permissions, such as "charge_read" or "customer_write". A write permission
// includes read. If it is used more than once for a key, the permissions add
// up. With no permissions the key may do nothing. Without this option a
// restricted key may do everything. With [WithKeys], that option must list the
// key too.
//
// The resources are account, charge (which includes refunds), payment_intent,
// payment_method, customer (which includes sources and lists of payment methods),
// token, product, price, invoiceitem, invoice, order (which includes returns), sku,
// event and webhook (for webhook endpoints).
func WithPermissions(key string, permissions ...string) Option {
	return func(s *Server) {
		if s.permissions == nil {
			s.permissions = make(map[string]map[string]bool)
		}
		if s.permissions[key] == nil {
			s.permissions[key] = make(map[string]bool)
		}
		for _, permission := range permissions {
			s.permissions[key][permission] = true
		}
	}
}

// permit refuses a request that its key has no permission for.
func (s *Server) permit(c *call) *apiError {
	key := apiKey(c.request)
	allowed, restricted := s.permissions[key]
	if !restricted {
		return nil
	}
	resource := permissionResource(c.route.pattern)
	write := resource + "_write"
	if allowed[write] {
		return nil
	}
	if c.method != http.MethodGet {
		return notPermitted(key, c.account.profile.ID, write)
	}
	read := resource + "_read"
	if allowed[read] {
		return nil
	}
	return notPermitted(key, c.account.profile.ID, read)
}

// permissionResource returns the resource name that permissions use for a
// route.
func permissionResource(pattern string) string {
	resource, _, _ := strings.Cut(strings.TrimPrefix(pattern, "/v1/"), "/")
	switch resource {
	case "refunds":
		return "charge"
	case "order_returns":
		return "order"
	case "webhook_endpoints":
		return "webhook"
	}
	return strings.TrimSuffix(resource, "s")
}

func notPermitted(key, account, permission string) *apiError {
	prefix, _ := splitKey(key)
	return &apiError{
		status: http.StatusForbidden,
		Type:   typeInvalidRequest,
		Message: fmt.Sprintf("The provided key '%s***' does not have the required permissions for this endpoint on account '%s'. "+
			"Having the 'rak_%s' permission would allow this request to continue.", prefix, account, permission),
	}
}
