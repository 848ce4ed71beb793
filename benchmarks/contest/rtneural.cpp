/* RTNeural's LSTM and GRU of one input and of the UNITS it is compiled for, by one C interface: see of_rtneural.py. */

#include <RTNeural/RTNeural.h>

#include <algorithm>
#include <vector>

#ifndef UNITS
#define UNITS 8, 32, 128
#endif

namespace {

using Vector = std::vector<float>;
using Matrix = std::vector<Vector>;

Matrix rows(const float *values, int count, int width) {
    Matrix found;
    for (int k = 0; k < count; k++)
        found.emplace_back(values + k * width, values + (k + 1) * width);
    return found;
}

struct Net {
    virtual ~Net() = default;
    virtual void reset() = 0;
    virtual void feed(const float *x, float *y, int steps) = 0;
};

/* On the heap, where C++17 gives `new` the alignment that the members ask for. */
template <typename Layer, int units>
struct NetOf final : Net {
    RTNeural::ModelT<float, 1, units, Layer> model;

    /* W (1, gates units), U (units, gates units), row by row. */
    NetOf(int gates, const float *W, const float *U) {
        layer().setWVals(rows(W, 1, gates * units));
        layer().setUVals(rows(U, units, gates * units));
    }

    Layer &layer() { return model.template get<0>(); }

    void reset() override { model.reset(); }

    void feed(const float *x, float *y, int steps) override {
        for (int t = 0; t < steps; t++) {
            model.forward(x + t);
            std::copy_n(model.getOutputs(), units, y + t * units);
        }
    }
};

/* b (4 units,). */
template <int units>
Net *lstm(const float *W, const float *U, const float *b) {
    auto *net = new NetOf<RTNeural::LSTMLayerT<float, 1, units>, units>(4, W, U);
    net->layer().setBVals(Vector(b, b + 4 * units));
    return net;
}

/* b (2, 3 units): one for the products with x, one for those with h. */
template <int units>
Net *gru(const float *W, const float *U, const float *b) {
    auto *net = new NetOf<RTNeural::GRULayerT<float, 1, units>, units>(3, W, U);
    net->layer().setBVals(rows(b, 2, 3 * units));
    return net;
}

template <int... each>
Net *of_units(bool is_gru, int units, const float *W, const float *U, const float *b) {
    Net *net = nullptr;
    ((units == each ? void(net = is_gru ? gru<each>(W, U, b) : lstm<each>(W, U, b)) : void()), ...);
    return net;
}

} // namespace

extern "C" {

/* NULL: not compiled for so many units. */
void *rtneural_new(int is_gru, int units, const float *W, const float *U, const float *b) {
    Net *net = of_units<UNITS>(is_gru, units, W, U, b);
    if (net)
        net->reset();
    return net;
}

void rtneural_delete(void *net) { delete static_cast<Net *>(net); }

void rtneural_reset(void *net) { static_cast<Net *>(net)->reset(); }

/* x (steps,), y (steps, units); goes on from the state of the last call. */
void rtneural_feed(void *net, const float *x, float *y, int steps) { static_cast<Net *>(net)->feed(x, y, steps); }
}
