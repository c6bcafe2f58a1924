package stripetest

import "time"

// WithDefaultVersion sets the API version of requests without a Stripe-Version
// header, as an account's default does: "2020-08-27", "2025-03-31.basil". The
// default is the newest version that this server knows. It panics if the version
// is not a date with an optional name.
func WithDefaultVersion(apiVersion string) Option {
	return func(s *Server) {
		if failure := s.setDefaultVersion(apiVersion); failure != nil {
			panic("stripetest: " + failure.Message)
		}
	}
}

func (s *Server) setDefaultVersion(sent string) *apiError {
	v, ok := parseVersion(sent)
	if !ok {
		return invalidVersion(sent)
	}
	s.accountVersion.Store(v)
	return nil
}

// versionWithoutHeader returns the version of a request that names none.
func (s *Server) versionWithoutHeader() version {
	if v, ok := s.accountVersion.Load().(version); ok {
		return v
	}
	return defaultVersion
}

func parseVersion(sent string) (version, bool) {
	if !versionForm.MatchString(sent) {
		return "", false
	}
	_, err := time.Parse(time.DateOnly, version(sent).date())
	return version(sent), err == nil
}
