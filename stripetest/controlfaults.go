package stripetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// faultState is the JSON of a [Fault]. Without first, nth and from it strikes every
// request.
type faultState struct {
	ID      int           `json:"id,omitempty"`
	Route   string        `json:"route"`
	First   int           `json:"first,omitempty"`
	Nth     int           `json:"nth,omitempty"`
	From    int           `json:"from,omitempty"`
	Effects []effectState `json:"effects,omitempty"` // none if the fault was made by a call of Fault
	Struck  *int          `json:"struck,omitempty"`  // only in responses
}

// effectState is the JSON of an [Effect]: one of its fields is set.
type effectState struct {
	Respond        *bodyState       `json:"respond,omitempty"`
	Replace        *bodyState       `json:"replace,omitempty"`
	InternalError  bool             `json:"internal_error,omitempty"`
	RateLimit      *RateLimitReason `json:"rate_limit,omitempty"`
	LockTimeout    bool             `json:"lock_timeout,omitempty"`
	RetryAfter     *json.RawMessage `json:"retry_after,omitempty"`
	RetryAfterDate *json.RawMessage `json:"retry_after_date,omitempty"`
	SetHeader      *headerState     `json:"set_header,omitempty"`
	DateOffset     *json.RawMessage `json:"date_offset,omitempty"`
	HasMore        *bool            `json:"has_more,omitempty"`
	Delay          *json.RawMessage `json:"delay,omitempty"`
	DelayResponse  *json.RawMessage `json:"delay_response,omitempty"`
	Truncate       *int             `json:"truncate,omitempty"`
	Garble         bool             `json:"garble,omitempty"`
	Drop           string           `json:"drop,omitempty"`
	Reset          string           `json:"reset,omitempty"`
}

type bodyState struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body,omitempty"` // a text, or JSON that is sent as it is
}

type headerState struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (s *Server) controlFaults(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []faultState{}
	for _, f := range s.faults {
		all = append(all, f.shown())
	}
	return map[string]any{"faults": all}, nil
}

// shown returns the JSON of a fault. The caller holds the server's mutex.
func (f *Fault) shown() faultState {
	shown := f.sent
	shown.ID, shown.Struck = f.number, new(f.struck)
	return shown
}

func (s *Server) controlAddFault(r *http.Request) (any, error) {
	var sent faultState
	if err := readControl(r, &sent); err != nil {
		return nil, err
	}
	if sent.ID != 0 || sent.Struck != nil {
		return nil, errors.New("id and struck are those of a response")
	}
	calls, err := sent.calls()
	if err != nil {
		return nil, err
	}
	if len(sent.Effects) == 0 {
		return nil, errors.New("effects: there is none")
	}
	var effects []Effect
	for i, effect := range sent.Effects {
		made, err := effect.effect()
		if err != nil {
			return nil, fmt.Errorf("effects: %d: %w", i, err)
		}
		effects = append(effects, made)
	}
	f := s.addFault(sent, calls, effects)
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.shown(), nil
}

func (sent faultState) calls() (Calls, error) {
	if sent.First < 0 || sent.Nth < 0 || sent.From < 0 {
		return Calls{}, errors.New("first, nth and from: the first request has number 1")
	}
	var calls []Calls
	for n, selection := range map[*int]func(int) Calls{&sent.First: First, &sent.Nth: Nth, &sent.From: From} {
		if *n > 0 {
			calls = append(calls, selection(*n))
		}
	}
	switch len(calls) {
	case 0:
		return Every(), nil
	case 1:
		return calls[0], nil
	}
	return Calls{}, errors.New("only one of first, nth and from is possible")
}

// effect makes the effect of the one field that is set.
func (e effectState) effect() (Effect, error) {
	made, n := Effect{}, 0
	for _, one := range slices.Concat(e.plain(), e.timed()) {
		if !one.set {
			continue
		}
		var err error
		if made, err = one.make(); err != nil {
			return Effect{}, err
		}
		n++
	}
	if n != 1 {
		return Effect{}, fmt.Errorf("it has %d effects, and not one", n)
	}
	return made, nil
}

// namedEffect is a field of effectState: whether it is set, and what it makes.
type namedEffect struct {
	set  bool
	make func() (Effect, error)
}

func (e effectState) plain() []namedEffect {
	return []namedEffect{
		{e.InternalError, func() (Effect, error) { return InternalError(), nil }},
		{e.LockTimeout, func() (Effect, error) { return LockTimeout(), nil }},
		{e.Garble, func() (Effect, error) { return Garble(), nil }},
		{e.HasMore != nil, func() (Effect, error) { return HasMore(*e.HasMore), nil }},
		{e.Truncate != nil, func() (Effect, error) { return Truncate(*e.Truncate), nil }},
		{e.RateLimit != nil, func() (Effect, error) { return RateLimit(*e.RateLimit), checkReason(*e.RateLimit) }},
		{e.Respond != nil, func() (Effect, error) { return e.Respond.effect("respond", Respond) }},
		{e.Replace != nil, func() (Effect, error) { return e.Replace.effect("replace", Replace) }},
		{e.SetHeader != nil, func() (Effect, error) { return e.SetHeader.effect() }},
		{e.Drop != "", func() (Effect, error) { return breakingAt("drop", e.Drop, Drop) }},
		{e.Reset != "", func() (Effect, error) { return breakingAt("reset", e.Reset, Reset) }},
	}
}

func (e effectState) timed() []namedEffect {
	timed := func(name string, sent *json.RawMessage, make func(time.Duration) Effect) namedEffect {
		return namedEffect{sent != nil, func() (Effect, error) { return timedEffect(name, *sent, make) }}
	}
	return []namedEffect{
		timed("retry_after", e.RetryAfter, RetryAfter),
		timed("retry_after_date", e.RetryAfterDate, RetryAfterDate),
		timed("date_offset", e.DateOffset, DateOffset),
		timed("delay", e.Delay, Delay),
		timed("delay_response", e.DelayResponse, DelayResponse),
	}
}

func timedEffect(name string, sent json.RawMessage, make func(time.Duration) Effect) (Effect, error) {
	var d duration
	if err := d.UnmarshalJSON(sent); err != nil {
		return Effect{}, fmt.Errorf("%s: %w", name, err)
	}
	return make(time.Duration(d)), nil
}

func (b bodyState) effect(name string, make func(int, string) Effect) (Effect, error) {
	if b.Status < 200 || b.Status > 599 {
		return Effect{}, fmt.Errorf("%s: status: it is not between 200 and 599", name)
	}
	var text string
	if json.Unmarshal(b.Body, &text) != nil {
		text = string(b.Body)
	}
	return make(b.Status, text), nil
}

func (h headerState) effect() (Effect, error) {
	if h.Name == "" {
		return Effect{}, errors.New("set_header: name: it is missing")
	}
	return SetHeader(h.Name, h.Value), nil
}

func checkReason(reason RateLimitReason) error {
	known := []RateLimitReason{GlobalRate, EndpointRate, GlobalConcurrency, EndpointConcurrency, ResourceSpecific}
	if !slices.Contains(known, reason) {
		return fmt.Errorf("rate_limit: it is one of %q", known)
	}
	return nil
}

func breakingAt(name, at string, make func(Moment) Effect) (Effect, error) {
	moments := []string{"before_call", "before_response", "in_response", "after_response"}
	i := slices.Index(moments, at)
	if i < 0 {
		return Effect{}, fmt.Errorf("%s: it is one of %q", name, moments)
	}
	return make(Moment(i)), nil
}

func (s *Server) controlRemoveFaults(*http.Request) (any, error) {
	s.RemoveFaults()
	return done(), nil
}

func (s *Server) controlRemoveFault(r *http.Request) (any, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return nil, fmt.Errorf("fault %q: %w", r.PathValue("id"), errNotThere)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f *Fault) bool { return f.number == id })
	if i < 0 {
		return nil, fmt.Errorf("fault %d: %w", id, errNotThere)
	}
	shown := s.faults[i].shown()
	s.faults = slices.Delete(s.faults, i, i+1)
	return shown, nil
}
