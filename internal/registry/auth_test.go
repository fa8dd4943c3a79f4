// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"strata/internal/oci"
)

// withAuth writes a file of credentials.
func withAuth(t *testing.T, document string) Files {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return Files{Auth: []string{path}, Login: path}
}

// A tokenServer gives tokens to who has the right password.
type tokenServer struct {
	*httptest.Server
	answer string // in place of a token

	mu    sync.Mutex
	asked []string // guarded by mu
}

func newTokenServer(t *testing.T) *tokenServer {
	s := &tokenServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		r.ParseForm()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, fmt.Sprintf("%s %s:%s service=%s scope=%s refresh=%s", r.Method, user, password, r.FormValue("service"), strings.Join(r.Form["scope"], ","), r.FormValue("refresh_token")))
		switch {
		case s.answer != "":
			fmt.Fprint(w, s.answer)
		case user+password == "" && r.FormValue("refresh_token") == "identity" || user+password == "usersecret":
			json.NewEncoder(w).Encode(map[string]any{"access_token": "token:" + strings.Join(r.Form["scope"], ","), "expires_in": 300})
		case user == "":
			json.NewEncoder(w).Encode(map[string]any{"token": "anonymous"})
		default:
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"details":"incorrect username or password"}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// wantTokens has a fake ask for tokens of a server.
func (f *fake) wantTokens(realm string) {
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		name := "a"
		scope := "repository:" + name + ":pull"
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			scope += ",push"
		}
		have := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if strings.HasPrefix(have, "token:"+scope) || strings.HasPrefix(have, "token:repository:a:pull,push") || r.URL.Path == "/v2/" && have == "token:" {
			return false
		}
		w.Header().Add("WWW-Authenticate", `Negotiate`)
		w.Header().Add("WWW-Authenticate", fmt.Sprintf(`Basic realm="x, y", Bearer realm=%q,service="the \"service\"",scope=%q,error=invalid_token`, realm, scope))
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	}
}

func TestTokens(t *testing.T) {
	for name, c := range map[string]struct{ auth, asked, want string }{
		"password":       {`{"auth":"dXNlcjpzZWNyZXQ="}`, `GET user:secret service=the "service" scope=repository:a:pull refresh=`, ""},
		"in clear":       {`{"username":"user","password":"secret"}`, `GET user:secret service=the "service" scope=repository:a:pull refresh=`, ""},
		"identity token": {`{"auth":"PHRva2VuPjo=","identitytoken":"identity"}`, `POST : service=the "service" scope=repository:a:pull refresh=identity`, ""},
		"registry token": {`{"registrytoken":"token:repository:a:pull"}`, "", ""},
		"nobody":         {`{}`, `GET : service=the "service" scope=repository:a:pull refresh=`, "401 Unauthorized: authentication required; is the name right, and are you logged in (strata login 127.0.0.1:"},
		"wrong password": {`{"username":"user","password":"x"}`, `GET user:x service=the "service" scope=repository:a:pull refresh=`, "401 Unauthorized: incorrect username or password"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t), newTokenServer(t)
			f.addManifest("a", "1", oci.MediaTypeManifest, imageManifest)
			f.wantTokens(s.URL + "/token")
			client, _ := newTestClient(t, Options{Files: withAuth(t, `{"auths":{"`+f.host()+`":`+c.auth+`}}`)})
			r := f.repository(t, client, "a")
			_, err := r.Manifest(t.Context(), f.reference("a:1"))
			if c.want == "" && err == nil {
				_, err = r.Manifest(t.Context(), f.reference("a:1")) // with the token that is here
			}
			if c.want != "" {
				wantError(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
			if got := strings.Join(s.asked, "\n"); got != c.asked {
				t.Errorf("the token server was asked %q, want %q", got, c.asked)
			}
		})
	}
}

// A token that is not taken any more is replaced, once.
func TestTokenExpires(t *testing.T) {
	f, s := newFake(t), newTokenServer(t)
	f.addManifest("a", "1", oci.MediaTypeManifest, imageManifest)
	client, _ := newTestClient(t, Options{})
	r := f.repository(t, client, "a")
	valid := ""
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer "+valid {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.URL+`"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	}
	for _, valid = range []string{"one", "two"} {
		s.answer = `{"token":"` + valid + `"}`
		for range 3 {
			if _, err := r.Manifest(t.Context(), f.reference("a:1")); err != nil {
				t.Error(err)
			}
		}
	}
	if len(s.asked) != 2 {
		t.Errorf("the token server was asked %d times, want 2", len(s.asked))
	}
	valid = "never"
	_, err := r.Manifest(t.Context(), f.reference("a:1"))
	wantError(t, err, "401 Unauthorized")
	if len(s.asked) != 3 {
		t.Errorf("the token server was asked %d times, want 3", len(s.asked))
	}
}

// A token server that is none is an error, and no way around.
func TestTokenServerRefused(t *testing.T) {
	f, s := newFake(t), newTokenServer(t)
	client, _ := newTestClient(t, Options{Files: withAuth(t, `{"auths":{"`+f.host()+`":{"username":"user","password":"secret"}}}`)})
	for realm, want := range map[string]string{
		"":                          "the registry names no token server",
		"file:///etc/passwd":        "the registry names no token server",
		"http://registry.example/x": "the token server registry.example is not encrypted",
	} {
		f.wantTokens(realm)
		_, err := f.repository(t, client, "a").Manifest(t.Context(), f.reference("a:1"))
		wantError(t, err, want)
	}
	f.wantTokens(s.URL)
	for answer, want := range map[string]string{
		`{}`: "has sent no token", `{"token":"a\nb"}`: "has sent no token", `<html>`: "the token server's answer", strings.Repeat(" ", maxToken+1): "the token server's answer",
	} {
		s.answer = answer
		_, err := f.repository(t, client, "a").Manifest(t.Context(), f.reference("a:1"))
		wantError(t, err, want)
	}
	f.wantTokens(f.URL + "/v2/") // itself, which wants a token
	_, err := f.repository(t, client, "a").Manifest(t.Context(), f.reference("a:1"))
	wantError(t, err, "401 Unauthorized")
}

// Credentials go to the registry and to its token server, and to nobody else.
func TestRedirectsCarryNoCredentials(t *testing.T) {
	f, other, collector := newFake(t), newFake(t), newTokenServer(t)
	d := other.addBlob([]byte("layer"))
	f.addBlob([]byte("layer"))
	var seen []string
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			refuse(w, 401, "UNAUTHORIZED", "authentication required")
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	challenge := false
	other.before = func(w http.ResponseWriter, r *http.Request) bool {
		seen = append(seen, r.Header.Get("Authorization"))
		if challenge {
			w.Header().Add("WWW-Authenticate", `Basic realm="x"`)
			w.Header().Add("WWW-Authenticate", `Bearer realm="`+collector.URL+`"`)
			refuse(w, 401, "UNAUTHORIZED", "give me your password")
		}
		return challenge
	}
	auth := `{"auths":{"` + f.host() + `":{"username":"user","password":"secret"}}}`
	client, _ := newTestClient(t, Options{Files: withAuth(t, auth)})
	r := f.repository(t, client, "a")
	if got, err := read(t.Context(), r, d); err != nil || string(got) != "layer" {
		t.Errorf("got %q, %v", got, err)
	}
	challenge = true
	_, err := read(t.Context(), r, d)
	wantError(t, err, "401 Unauthorized: give me your password")
	if len(seen) != 2 || strings.Join(seen, "") != "" || len(collector.asked) > 0 {
		t.Errorf("the other host was sent %q, its token server %q", seen, collector.asked)
	}
}

func TestRedirectsRefused(t *testing.T) {
	f := newFake(t)
	d := f.addBlob([]byte("layer"))
	var to string
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		w.Header()["Location"] = []string{to}
		w.WriteHeader(http.StatusFound)
		return true
	}
	client, _ := newTestClient(t, Options{})
	for location, want := range map[string]string{
		"http://registry.example/x": "redirect: from 127.0.0.1:", "/again": "302 Found", "file:///etc/passwd": "redirect: it leads nowhere",
		"": "redirect: it leads nowhere", "gopher://127.0.0.1/": "which is not encrypted", "?x": "redirect: more than 5",
	} {
		to = location
		_, err := read(t.Context(), f.repository(t, client, "a"), d)
		if location == "/again" {
			wantError(t, err, "404 Not Found")
			continue
		}
		wantError(t, err, want)
	}
}

// A refresh token is not posted to where a token server leads.
func TestTokenRedirectRefused(t *testing.T) {
	f, other := newFake(t), newTokenServer(t)
	leading := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(leading.Close)
	f.wantTokens(leading.URL)
	client, _ := newTestClient(t, Options{Files: withAuth(t, `{"auths":{"`+f.host()+`":{"identitytoken":"identity"}}}`)})
	_, err := f.repository(t, client, "a").Manifest(t.Context(), f.reference("a:1"))
	wantError(t, err, "redirect: it would take credentials to 127.0.0.1:")
	if len(other.asked) != 0 {
		t.Errorf("the other host was asked %q", other.asked)
	}
}

// A proxy is asked, and a registry that is neither here nor insecure is spoken
// to in TLS only, through it too.
func TestProxy(t *testing.T) {
	f := newFake(t)
	f.addManifest("a", "1", oci.MediaTypeManifest, imageManifest)
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		f.serve(w, r)
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", "") // ProxyFromEnvironment reads it once for all tests
	address, _ := http.NewRequest(http.MethodGet, proxy.URL, nil)
	files := withRegistries(t, "[[registry]]\nlocation = \"insecure.example\"\ninsecure = true\n")
	client, _ := newTestClient(t, Options{Files: files, Proxy: http.ProxyURL(address.URL)})
	for domain, want := range map[string]string{"insecure.example": "", "secure.example": "Forbidden"} {
		ref := oci.Reference{Domain: domain, Repository: "a", Tag: "1"}
		r, err := client.Repository(ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = r.Manifest(t.Context(), ref); want != "" {
			wantError(t, err, want)
		} else if err != nil {
			t.Error(err)
		}
	}
	if text := strings.Join(asked, ", "); !strings.Contains(text, "GET insecure.example") || strings.Contains(text, "GET secure.example") {
		t.Errorf("the proxy was asked %s", text)
	}
}

// Several requests at once learn what a host wants, each for itself.
func TestManyAuthenticateAtOnce(t *testing.T) {
	const many = 8
	f := newFake(t)
	d := f.addBlob([]byte("layer"))
	var waiting atomic.Int32
	together := make(chan struct{})
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		if waiting.Add(1) == many {
			close(together)
		}
		<-together
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		refuse(w, 401, "UNAUTHORIZED", "authentication required")
		return true
	}
	client, _ := newTestClient(t, Options{Files: withAuth(t, `{"auths":{"`+f.host()+`":{"username":"user","password":"secret"}}}`)})
	r := f.repository(t, client, "a")
	var g sync.WaitGroup
	for range many {
		g.Go(func() {
			if _, err := read(t.Context(), r, d); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
}
