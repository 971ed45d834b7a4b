package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

// Client calls the API of one host.
type Client struct{ http http.Client }

// Dial finds the host that runs on a data folder; ok is false when none answers.
func Dial(ctx context.Context, dataDir string) (c *Client, ok bool) {
	path, err := socketPath(dataDir)
	if err != nil {
		return nil, false // no host listens there either
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	probe, err := dial(ctx, "", "")
	if err != nil {
		return nil, false
	}
	_ = probe.Close()
	return &Client{http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, true
}

// Deploy sends a bundle and reports the steps as they happen; step may be nil.
func (c *Client) Deploy(ctx context.Context, bundle []byte, d Deploy, step func(string)) (plugins.Deployment, error) {
	q := url.Values{
		"tenant": {d.Tenant}, "name": {d.Name}, "by": {d.By}, "note": {d.Note}, "plan": {d.ApprovePlan}, "approve": {strconv.FormatBool(d.Approve)},
	}
	resp, err := c.send(ctx, http.MethodPost, "/v1/deploy?"+q.Encode(), bytes.NewReader(bundle))
	if err != nil {
		return plugins.Deployment{}, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return plugins.Deployment{}, fmt.Errorf("the host answered %q", lines.Text())
		}
		switch {
		case e.Error != nil:
			return plugins.Deployment{}, e.Error
		case e.Deployment != nil:
			return *e.Deployment, nil
		}
		if step != nil {
			step(e.Step)
		}
	}
	return plugins.Deployment{}, errors.Join(errors.New("the host went away before the deployment was done"), lines.Err())
}

// Rollback makes an earlier revision serve.
func (c *Client) Rollback(ctx context.Context, in Rollback) (out plugins.Deployment, err error) {
	err = c.post(ctx, "/v1/rollback", in, &out)
	return out, err
}

// Remove takes a deployment out of service.
func (c *Client) Remove(ctx context.Context, in Remove) error {
	return c.post(ctx, "/v1/remove", in, nil)
}

// Call runs a plugin's function.
func (c *Client) Call(ctx context.Context, tenant, plugin, function string, body []byte) ([]byte, error) {
	path := "/v1/call/" + url.PathEscape(tenant) + "/" + url.PathEscape(plugin) + "/" + url.PathEscape(function)
	resp, err := c.send(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Plugins lists the deployments.
func (c *Client) Plugins(ctx context.Context) (out []Plugin, err error) {
	err = c.get(ctx, "/v1/plugins", &out)
	return out, err
}

// History lists a deployment's entries, oldest first.
func (c *Client) History(ctx context.Context, tenant, plugin string) (out []History, err error) {
	err = c.get(ctx, "/v1/history/"+url.PathEscape(tenant)+"/"+url.PathEscape(plugin), &out)
	return out, err
}

// Migrate plans a deployment's migration and, if apply is set, applies it; approve is the hash of a plan that destroys.
func (c *Client) Migrate(ctx context.Context, tenant, plugin string, apply bool, approve string) (out []Migration, err error) {
	path := "/v1/migrate/" + url.PathEscape(tenant) + "/" + url.PathEscape(plugin) + "?plan=" + url.QueryEscape(approve)
	if apply {
		err = c.post(ctx, path, struct{}{}, &out)
	} else {
		err = c.get(ctx, path, &out)
	}
	return out, err
}

// RollbackFiles takes the last batch of a deployment's migration files back.
func (c *Client) RollbackFiles(ctx context.Context, tenant, plugin string) (out []RolledBack, err error) {
	err = c.post(ctx, "/v1/migrate/"+url.PathEscape(tenant)+"/"+url.PathEscape(plugin)+"/rollback", struct{}{}, &out)
	return out, err
}

// Databases lists the databases that are open, and whether they answer.
func (c *Client) Databases(ctx context.Context) (out []Database, err error) {
	err = c.get(ctx, "/v1/databases", &out)
	return out, err
}

// Tenants lists the tenants by name.
func (c *Client) Tenants(ctx context.Context) (out []host.Tenant, err error) {
	err = c.get(ctx, "/v1/tenants", &out)
	return out, err
}

// AddTenant gives a tenant its places, and returns the connections on whose servers they are.
func (c *Client) AddTenant(ctx context.Context, name string) (places []string, err error) {
	err = c.post(ctx, "/v1/tenants/"+url.PathEscape(name), struct{}{}, &places)
	return places, err
}

// RemoveTenant drops all data of a tenant without plugins.
func (c *Client) RemoveTenant(ctx context.Context, name string) error {
	return c.decode(ctx, http.MethodDelete, "/v1/tenants/"+url.PathEscape(name), nil, nil)
}

// ExportTenant writes a tenant's rows as lines of JSON.
func (c *Client) ExportTenant(ctx context.Context, name string, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/tenants/"+url.PathEscape(name)+"/export", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

func (c *Client) get(ctx context.Context, path string, out any) error {
	return c.decode(ctx, http.MethodGet, path, nil, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.decode(ctx, http.MethodPost, path, bytes.NewReader(body), out)
}

func (c *Client) decode(ctx context.Context, method, path string, body io.Reader, out any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// send gives the response of a call that the host took, or its error.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://odachost"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the host does not answer: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var e Error
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		return nil, fmt.Errorf("the host answered %s", resp.Status)
	}
	return nil, &e
}
