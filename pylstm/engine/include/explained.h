/* What a method says of a call that it does not take, without a cost for one that it takes: Cython's own refusal names
   neither the stream nor what it takes, and `*more, **other` in the signature of a step are a tenth of the smallest. */
#include <Python.h>
#include <stddef.h>

static vectorcallfunc pylstm_plain;
static PyObject *pylstm_explain;

/* `explain(method, arguments, options)`, which raises, or returns where the call was one that the method takes. */
static int pylstm_ask(PyObject *method, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    PyObject *given = PyTuple_New(n), *options = PyDict_New(), *said = NULL;
    Py_ssize_t k, named = names ? PyTuple_GET_SIZE(names) : 0;
    int failed = given == NULL || options == NULL;
    for (k = 0; !failed && k < n; k++)
        PyTuple_SET_ITEM(given, k, Py_NewRef(args[k]));
    for (k = 0; !failed && k < named; k++)
        failed = PyDict_SetItem(options, PyTuple_GET_ITEM(names, k), args[n + k]) < 0;
    if (!failed)
        said = PyObject_CallFunctionObjArgs(pylstm_explain, method, given, options, NULL);
    Py_XDECREF(given);
    Py_XDECREF(options);
    Py_XDECREF(said);
    return said == NULL ? -1 : 0;
}

static PyObject *pylstm_call(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *names)
{
    PyObject *found = pylstm_plain(method, args, nargsf, names);
    if (found == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        if (pylstm_ask(method, args, PyVectorcall_NARGS(nargsf), names) == 0) {
            PyErr_Restore(type, value, trace);
        } else {
            Py_XDECREF(type);
            Py_XDECREF(value);
            Py_XDECREF(trace);
        }
    }
    return found;
}

/* Of methods that are called alike; one whose calls do not go through this pointer is left as it is. */
static void pylstm_explain_with(PyObject *method, PyObject *explain)
{
    PyCFunctionObject *function = (PyCFunctionObject *)method;
    if (Py_TYPE(method)->tp_vectorcall_offset != offsetof(PyCFunctionObject, vectorcall) || !function->vectorcall)
        return;
    if (pylstm_plain != NULL && pylstm_plain != function->vectorcall)
        return;
    pylstm_plain = function->vectorcall;
    Py_XSETREF(pylstm_explain, Py_NewRef(explain));
    function->vectorcall = pylstm_call;
}
