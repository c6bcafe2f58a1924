package stripetest

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxEndpoints is the maximum number of webhook endpoints in one mode of an
// account, as in the documentation of webhooks.
const maxEndpoints = 16

const (
	enabled  = "enabled"
	disabled = "disabled"
)

// endpoint is a webhook endpoint: a URL to which events are sent.
type endpoint struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	APIVersion    *string           `json:"api_version"` // null: that of the event
	Application   null              `json:"application"`
	Created       int64             `json:"created"` // seconds
	Description   *string           `json:"description"`
	EnabledEvents []string          `json:"enabled_events"`
	Livemode      bool              `json:"livemode"`
	Metadata      map[string]string `json:"metadata"`
	Secret        string            `json:"secret,omitempty"` // in the response of its creation only
	Status        string            `json:"status"`           // enabled or disabled
	URL           string            `json:"url"`

	signingSecret string
}

// check refuses a loaded endpoint that could not be sent to.
func (e *endpoint) check() error {
	if failure := webhookURL("url", &value{text: e.URL}); failure != nil {
		return fmt.Errorf("url: %s", failure.Message)
	}
	if v := deref(e.APIVersion); v != "" {
		if _, ok := parseVersion(v); !ok {
			return fmt.Errorf("api_version: %q is no API version", v)
		}
	}
	return nil
}

func endpointFields() fields {
	return endpointUpdateFields().without("disabled").with(fields{"api_version": apiVersion})
}

func endpointUpdateFields() fields {
	return fields{
		"description":    text,
		"disabled":       boolean,
		"enabled_events": list(eventName),
		"expand":         list(text),
		"metadata":       metadata,
		"url":            webhookURL,
	}
}

func newEndpoints() *collection[endpoint] {
	return newCollection[endpoint]("webhook endpoint", nil, nil)
}

// webhookURL accepts an absolute URL of HTTP or HTTPS.
func webhookURL(name string, v *value) *apiError {
	if failure := nonEmpty(name, v); failure != nil {
		return failure
	}
	parsed, err := url.Parse(v.text)
	switch {
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https":
		return invalidRequest("url_invalid", name, "Invalid URL: An explicit scheme (such as https) must be provided.")
	case parsed.Hostname() == "":
		return invalidRequest("url_invalid", name, "Invalid URL: URL must have a host.")
	}
	return nil
}

var eventNameForm = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`)

// eventName accepts a star, or what can be the type of an event. It does not know
// all types that there are.
func eventName(name string, v *value) *apiError {
	if failure := nonEmpty(name, v); failure != nil {
		return failure
	}
	if v.text != "*" && !eventNameForm.MatchString(v.text) {
		return invalidRequest("", name, fmt.Sprintf("Invalid %s: must be * or the type of an event, such as charge.succeeded", name))
	}
	return nil
}

func apiVersion(name string, v *value) *apiError {
	if failure := text(name, v); failure != nil {
		return failure
	}
	if _, ok := parseVersion(v.text); v.text != "" && !ok {
		return invalidRequest("", name, "Invalid Stripe API version: "+v.text)
	}
	return nil
}

func createEndpoint(c *call) (any, *apiError) {
	if failure := required(c.params, "url", "enabled_events"); failure != nil {
		return nil, failure
	}
	if c.account.endpoints.all.size >= maxEndpoints {
		return nil, invalidRequest("", "", fmt.Sprintf("You have reached the maximum of %d webhook endpoints.", maxEndpoints))
	}
	created := &endpoint{
		ID:            newID("we_1", 23),
		Object:        "webhook_endpoint",
		APIVersion:    c.params.optional("api_version"),
		Created:       c.time.Unix(),
		Livemode:      c.account.live,
		Metadata:      newMetadata(c.params),
		Status:        enabled,
		signingSecret: newID("whsec_", 32),
	}
	if failure := created.set(c.params); failure != nil {
		return nil, failure
	}
	c.account.endpoints.add(created.ID, created.Created, created)
	shown := *created
	shown.Secret = created.signingSecret
	return &shown, nil
}

// set changes the fields whose parameters were sent.
func (e *endpoint) set(p *value) *apiError {
	if p.has("url") {
		e.URL = p.string("url")
	}
	if e.Livemode && !strings.HasPrefix(e.URL, "https:") {
		return invalidRequest("url_invalid", "url", "Invalid URL: URL must be an HTTPS endpoint in live mode.")
	}
	p.setText(&e.Description, "description")
	if p.has("enabled_events") {
		e.EnabledEvents = p.items("enabled_events")
	}
	if p.has("disabled") {
		e.Status = enabled
		if p.boolean("disabled", false) {
			e.Status = disabled
		}
	}
	return nil
}

func updateEndpoint(c *call) (any, *apiError) {
	old, failure := c.account.endpoints.find(c.id)
	if failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if failure := changed.set(c.params); failure != nil {
		return nil, failure
	}
	c.account.endpoints.replace(old.ID, &changed)
	if changed.Status == disabled {
		c.account.giveUpDeliveries(old.ID, "the endpoint was disabled")
	}
	return &changed, nil
}

func deleteEndpoint(c *call) (any, *apiError) {
	if _, failure := c.account.endpoints.find(c.id); failure != nil {
		return nil, failure
	}
	c.account.endpoints.remove(c.id)
	c.account.giveUpDeliveries(c.id, "the endpoint was deleted")
	return &deletedObject{ID: c.id, Object: "webhook_endpoint", Deleted: true}, nil
}

// receives reports whether events of a type are sent to the endpoint.
func (e *endpoint) receives(name string) bool {
	return e.Status == enabled && (slices.Contains(e.EnabledEvents, "*") || slices.Contains(e.EnabledEvents, name))
}
